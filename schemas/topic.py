"""What the topics and their groups are called; a replay has the same ones under `replay.`."""

from __future__ import annotations

from enum import Enum
from typing import Final

CONTEXTS: Final = "contexts"
DECISIONS: Final = "decisions"
DEAD_LETTERS: Final = "contexts.dlq"
MODELS_STATUS: Final = "models.status"
CONTROL: Final = "control"
REPLAY: Final = "replay."


class Side(Enum):
    """One of the pipeline's two halves. Nothing is read on one and written on the other."""

    LIVE = ""
    REPLAYS = REPLAY  # replays, comparisons and shadows

    @classmethod
    def of(cls, topic: str) -> Side:
        """The half that this topic belongs to."""
        return cls.REPLAYS if topic.startswith(REPLAY) else cls.LIVE

    @property
    def contexts(self) -> str:
        """Where questions come in."""
        return f"{self.value}{CONTEXTS}"

    @property
    def decisions(self) -> str:
        """Where decisions go."""
        return f"{self.value}{DECISIONS}"

    @property
    def dead_letters(self) -> str:
        """Where records go that nobody can decide."""
        return f"{self.value}dlq" if self is Side.REPLAYS else DEAD_LETTERS

    def waiting(self, model: str) -> str:
        """Where contexts wait for this model."""
        return f"{self.contexts}.{model}"

    @property
    def router_group(self) -> str:
        """Who reads `contexts`."""
        return f"{self.value}router"

    def worker_group(self, model: str) -> str:
        """Who reads what waits for this model."""
        return f"{self.value}worker.{model}"


def is_replay(topic: str) -> bool:
    """Whether this topic belongs to replays, comparisons and shadows."""
    return Side.of(topic) is Side.REPLAYS


def model_topic(model: str) -> str:
    """Where live contexts wait for this model."""
    return Side.LIVE.waiting(model)
