"""What the topics are called; a replay has the same ones under `replay.`."""

from __future__ import annotations

from typing import Final

CONTEXTS: Final = "contexts"
DECISIONS: Final = "decisions"
DEAD_LETTERS: Final = "contexts.dlq"
MODELS_STATUS: Final = "models.status"
CONTROL: Final = "control"
REPLAY: Final = "replay."


def is_replay(topic: str) -> bool:
    """Whether this topic belongs to replays, comparisons and shadows."""
    return topic.startswith(REPLAY)


def model_topic(model: str, *, replay: bool = False) -> str:
    """Where contexts wait for this model."""
    return f"{REPLAY if replay else ''}{CONTEXTS}.{model}"


def decisions_topic(*, replay: bool = False) -> str:
    """Where decisions go."""
    return f"{REPLAY}{DECISIONS}" if replay else DECISIONS


def dead_letters_topic(*, replay: bool = False) -> str:
    """Where records go that nobody can decide."""
    return f"{REPLAY}dlq" if replay else DEAD_LETTERS
