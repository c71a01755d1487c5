"""What decisions say of the models that were asked: which attempt was answered, failed, or came too late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import from_json

from schemas.decision import Status
from schemas.status import HealthState

Kind = Literal["answered", "bad", "late", "hung", "raised", "engine_died"]
BROKEN: Final[frozenset[Kind]] = frozenset(("hung", "raised", "engine_died"))
_BAD: Final = frozenset(("not_finite", "cut_off", "wrong_count", "wrong_symbol", "too_long"))
# Most of what needs no model has none: it is not worth being read.
_NO_ATTEMPTS: Final = b'"attempts":[]'


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of one attempt. `ms`: how long the model had the question; `probe`: it was routed there to try it out.

    `bad` is an answer that breaks a rule: the model is alive. `late`: the question's time ran out while the model had it.
    """

    model: str
    kind: Kind
    ms: float = 0.0
    probe: bool = False


def endings_of(value: bytes) -> tuple[Ending, ...]:
    """Of each attempt in a decision's bytes; nothing where no model was asked. ValueError where it is no decision."""
    if _NO_ATTEMPTS in value:
        return ()
    try:
        return tuple(_endings(from_json(value)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is no decision: {error!r}") from None


def _endings(decision: dict[str, Any]) -> Iterator[Ending]:
    route, expired = decision["route"], decision["status"] == Status.EXPIRED
    probed = {each["model"] for each in route["candidates"] if each["state"] == HealthState.PROBING}
    attempts = route["attempts"]
    for number, attempt in enumerate(attempts, start=1):
        kind = _kind(attempt["outcome"], cut=expired and number == len(attempts))
        if kind is not None:
            sent = number == 1 or attempts[number - 2]["outcome"] == "rescued"  # by a router, and not handed on by a worker
            yield Ending(attempt["model"], kind, _ms(attempt["ms"]), probe=sent and attempt["model"] in probed)


def _ms(value: object) -> float:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"ms is {value!r}")
    return value or 0.0


def _kind(outcome: str, cut: bool) -> Kind | None:
    """None: it says nothing of the model. An answer that expired was held back or written late: the model had given it."""
    if outcome == "answered":
        return "answered"
    why = outcome.removeprefix("failed:")
    if why in _BAD:
        return "bad"
    if why == "hung":
        return "late" if cut else "hung"
    return "raised" if why == "raised" else "engine_died" if why == "engine_died" else None
