"""Where a replay's answers come from: the decision's own record, else any record under the same content key. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deciders.answer import RawAnswer
from replay.recorded import Recorded
from schemas.decision import Decision, FailedGeneration, GenerationParts, ModelUsed

PARTS: Final = ("prompt", "tokenizer", "weights", "adapter", "sampling", "schema")

# The decision that holds the generation of a key, and which of its failed attempts it is: -1, its answer.
ByKey = Callable[[str], tuple[Decision, int] | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An answer that is looked for: of which model, under which key."""

    model: str
    key: str
    parts: GenerationParts


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer from a record, and the model that gave it."""

    raw: RawAnswer
    used: ModelUsed


@dataclass(frozen=True, slots=True)
class Missing:
    """There is none. `changed` names the parts that differ from what the same model was asked for this context, if it was."""

    changed: tuple[str, ...]

    @property
    def why(self) -> str:
        """For people."""
        if not self.changed:
            return "this model was not asked about this context, and nothing is recorded under the same key"
        return f"what was recorded has another {' and another '.join(self.changed)}"


def answer_for(wanted: Wanted, recorded: Recorded, by_key: ByKey) -> Answered | FailedGeneration | Missing:
    """What this model said, or how it failed.

    Its own record first: one key may have been answered twice, not always alike. Failures that left no text behind (it hung or
    died, or the decision keeps none) are known from the route alone, whatever the key.
    """
    own = _in(recorded.decision, wanted)
    if own is not None:
        return own
    attempt = recorded.attempt(wanted.model)
    if attempt is not None and attempt.outcome.startswith("failed:") and _parts(recorded.decision, wanted.model) is None:
        why = attempt.outcome.removeprefix("failed:")
        return FailedGeneration(model=wanted.model, key=wanted.key, parts=wanted.parts, why=why)
    found = by_key(wanted.key)
    if found is not None and (other := _at(*found)) is not None:
        return other
    return Missing(_changed(_parts(recorded.decision, wanted.model), wanted.parts))


def _in(decision: Decision, wanted: Wanted) -> Answered | FailedGeneration | None:
    held = decision.generation
    if held is None:
        return None
    if held.key == wanted.key:
        return _at(decision, -1)
    return next((each for each in held.failed if each.key == wanted.key), None)


def _at(decision: Decision, attempt: int) -> Answered | FailedGeneration | None:
    held = decision.generation
    if held is None or attempt >= 0:
        return None if held is None else held.failed[attempt]
    if decision.model is None or decision.probs is None:
        return None
    tokens = decision.tokens
    raw = RawAnswer(held.text, None, tokens.prompt, tokens.cached, tokens.completion, probs=decision.probs)
    return Answered(raw, decision.model)


def _parts(decision: Decision, model: str) -> GenerationParts | None:
    """What this model's generation was made of, as far as the decision keeps it."""
    held = decision.generation
    if held is None:
        return None
    if decision.model is not None and decision.model.name == model:
        return held.parts
    return next((each.parts for each in held.failed if each.model == model), None)


def _changed(before: GenerationParts | None, now: GenerationParts) -> tuple[str, ...]:
    if before is None:
        return ()
    own, other = before.model_dump(by_alias=True), now.model_dump(by_alias=True)
    return tuple(name for name in PARTS if own[name] != other[name])
