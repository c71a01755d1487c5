"""Which of the models that are possible takes a question: the chosen one, unless it is out, would be late, or is crowded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from deciders.fleet import Fleet, Standing
from schemas.status import HealthState

# Below this a wait is lost in the way there and back (some 10 ms), and two idle models would take turns for nothing.
WAIT_MS_MIN: Final = 50.0
# Of the 280 that a reason may have. Each model's own reason stands on `models.status`; that it was out must stand here.
OUTS_CHARACTERS_MAX: Final = 140


class Possible(NamedTuple):  # made for every context, in a third of a frozen dataclass's time
    """The model that was named, who else may take the question, and by when (ms from now; None: nobody knows)."""

    model: str
    alternatives: Sequence[str]
    chain: Sequence[str]
    fallback: bool
    left_ms: float | None
    factor: float


def pick(possible: Possible, fleet: Fleet) -> tuple[str | None, str]:
    """The model to ask, None where there is none, and how that came about; an empty reason where it is the one that was named.

    One that is out is replaced by the first of its chain that would be in time, else by the first that can be asked. One that
    would be late gives way to the first alternative, then to the first of its chain, that would not be. One that is crowded
    gives way only to a declared alternative.
    """
    chosen = fleet.of(possible.model)
    if not chosen.can_be_asked:
        return _replaced(possible, fleet)
    if chosen.service_ms is None:
        return possible.model, ""
    if possible.left_ms is not None and _known_ms(chosen) > possible.left_ms:
        return _sooner(possible, fleet, possible.left_ms)
    return _less_crowded(possible, fleet) if possible.alternatives else (possible.model, "")


def _replaced(possible: Possible, fleet: Fleet) -> tuple[str | None, str]:
    left_ms = math.inf if possible.left_ms is None else possible.left_ms
    can = [name for name in possible.chain if fleet.of(name).can_be_asked]
    model = next((name for name in can if _answer_ms(fleet.of(name)) <= left_ms), can[0] if can else None)
    out = f"; {possible.model} {_out(possible.model, fleet)}"
    if model is not None:
        return model, f"{out}, so {model} of its fallback chain is asked"
    if not possible.fallback:
        return None, f"{out}, and fallback is false"
    names = (possible.model, *possible.chain)
    if not any(name in fleet.running for name in names):
        return None, f"; neither {possible.model} nor any model of its fallback chain runs"
    outs = ", ".join(f"{name} {_out(name, fleet)}" for name in names)
    if len(outs) > OUTS_CHARACTERS_MAX:
        outs = ", ".join(f"{name} is {fleet.of(name).state}" for name in names)
    return None, f"; neither {possible.model} nor any model of its fallback chain can be asked: {outs}"


def _sooner(possible: Possible, fleet: Fleet, left_ms: float) -> tuple[str, str]:
    others = (*possible.alternatives, *possible.chain)
    late = f"; {possible.model} would answer in {_known_ms(fleet.of(possible.model)):.0f} ms, and {left_ms:.0f} ms are left"
    for name in others:
        other = fleet.of(name)
        if name != possible.model and other.can_be_asked and _answer_ms(other) <= left_ms:
            known = "" if other.service_ms is None else f" ({_answer_ms(other):.0f} ms)"
            return name, f"{late}, so {name}{known} is asked"
    return possible.model, f"{late}, but no other would be in time"


def _less_crowded(possible: Possible, fleet: Fleet) -> tuple[str, str]:
    wait_ms = fleet.of(possible.model).wait_ms or 0.0
    best, best_ms = possible.model, wait_ms / possible.factor
    for name in possible.alternatives:
        other_ms = fleet.of(name).wait_ms
        if other_ms is not None and fleet.of(name).can_be_asked and max(other_ms, WAIT_MS_MIN) < best_ms:
            best, best_ms = name, other_ms
    if best == possible.model:
        return best, ""
    than = f"more than {possible.factor:g} times {best}'s {best_ms:.0f} ms"
    return best, f"; {possible.model}'s expected wait is {wait_ms:.0f} ms, {than}, so {best} is asked"


def _out(name: str, fleet: Fleet) -> str:
    return fleet.of(name).out if name in fleet.running else "does not run"


def _answer_ms(standing: Standing) -> float:
    """When an answer would be there; 0 where nobody knows."""
    service_ms = standing.service_ms
    return 0.0 if service_ms is None else (standing.waiting / standing.concurrency + 1) * service_ms


def _known_ms(standing: Standing) -> float:
    """The same as far as it still holds: what is being tried out is tried because what its last answers took may be over."""
    return (standing.wait_ms or 0.0) if standing.state is HealthState.PROBING else _answer_ms(standing)
