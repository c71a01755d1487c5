"""Where a stop and a target may stand: on their own side of the price, and inside the policy's collar."""

from __future__ import annotations

import math
from dataclasses import dataclass

from schemas.action import Action
from schemas.decision import Clamp, Proposed
from schemas.policy import Limits


@dataclass(frozen=True, slots=True)
class Stops:
    """Absolute prices or None, what was changed, and why the order cannot stand without a stop it cannot have."""

    stop_loss: float | None
    take_profit: float | None
    clamps: tuple[Clamp, ...] = ()
    reason: str | None = None


def checked_stops(proposed: Proposed, price: float | None, limits: Limits, require_stop: bool) -> Stops:
    """The stop and the target of a BUY or a SELL at this price.

    One on the wrong side, or outside the collar, is replaced by the policy's default distance; without a price none
    can be judged, and none is kept.
    """
    clamps: list[Clamp] = []
    up = 1 if proposed.action is Action.BUY else -1
    stop = _checked("stop_loss", proposed.stop_loss, _Side(price, -up, limits), clamps)
    target = _checked("take_profit", proposed.take_profit, _Side(price, up, limits), clamps)
    if require_stop and stop is None:
        stop = _Side(price, -up, limits).default()
        if stop is None:
            return Stops(None, target, tuple(clamps), "require_stop: context has no price to set a stop from")
        clamps.append(Clamp(limit="require_stop", before=None, after=stop))
    return Stops(stop, target, tuple(clamps))


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a price: 1 above it, -1 below."""

    price: float | None
    sign: int
    limits: Limits

    def holds(self, level: float) -> bool:
        """Whether this level lies on the side, inside the collar."""
        if self.price is None:
            return False
        distance = (level / self.price - 1) * self.sign
        return 0 < distance <= self.limits.collar_pct

    def default(self) -> float | None:
        """The policy's own distance on this side; None where there is no price, or one too extreme to have a side."""
        if self.price is None:
            return None
        exact = self.price * (1 + self.sign * self.limits.default_stop_pct)
        # Ten digits, or as many as it takes where those lie outside a collar that is no wider than the distance.
        levels = (float(f"{exact:.10g}"), exact, math.nextafter(exact, self.price))
        return next((level for level in levels if math.isfinite(level) and self.holds(level)), None)


def _checked(limit: str, level: float | None, side: _Side, clamps: list[Clamp]) -> float | None:
    if level is None or side.holds(level):
        return level
    replaced = side.default()
    clamps.append(Clamp(limit=limit, before=level, after=replaced))
    return replaced
