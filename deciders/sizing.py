"""How much a BUY or a SELL may add: never more than was proposed, than the limit, or than the position leaves room."""

from __future__ import annotations

import math
from dataclasses import dataclass

from schemas.action import Action
from schemas.decision import Clamp
from schemas.market import MarketContext

# What is left below this share of equity is rounding, not a size.
SIZE_MIN = 1e-9
POSITION_UNKNOWN = Clamp(limit="position_unknown")


@dataclass(frozen=True, slots=True)
class Sized:
    """The size as a fraction of equity, what changed it, and why nothing is left where it is 0."""

    size_pct: float
    clamps: tuple[Clamp, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """How large an order and the position after it may be, and whether it may only make the position smaller."""

    max_position_pct: float
    reduce_only: bool


def exposure(market: MarketContext) -> float | None:
    """The position as a signed fraction of equity; None where size, price or equity is unknown or no use."""
    size, price = market.position_size, market.price_ref
    if size == 0:
        return 0.0
    equity = None if market.account is None else market.account.equity
    if size is None or price is None or equity is None or equity <= 0:
        return None
    fraction = size * price / equity
    return fraction if math.isfinite(fraction) else None


def reduces(action: Action, market: MarketContext) -> bool:
    """Whether this BUY or SELL is known to make the position smaller, whatever its size: on spot, or once bounded."""
    if action is Action.SELL and market.market == "spot":
        return market.holds is True and (market.position_size is None or market.position_size > 0)
    held = exposure(market)
    return held is not None and held * _direction(action) < 0


def limited_size(action: Action, size_pct: float, market: MarketContext, room: Room) -> Sized:
    """What a proposed size leaves after `max_position_pct`, of the order itself and of the position after it.

    An order against the position is bounded only by itself; where it may only reduce, and on spot, by what is held.
    """
    clamps: list[Clamp] = []
    size = _lowered(size_pct, min(1.0, max(0.0, size_pct)), "size_pct", clamps)
    size = _lowered(size, min(size, room.max_position_pct), "max_position_pct", clamps)
    if size < SIZE_MIN:
        limit = "size_pct: the model proposed none" if size_pct < SIZE_MIN else "max_position_pct: it allows none"
        return Sized(0.0, tuple(clamps), limit)
    return _within_position(action, size, market, room, clamps)


def _within_position(action: Action, size: float, market: MarketContext, room: Room, clamps: list[Clamp]) -> Sized:
    if _worthless(market) and not reduces(action, market):
        return Sized(0.0, tuple(clamps), "context.account.equity: must be positive to add to a position")
    held = exposure(market)
    if held is None:
        return Sized(size, (*clamps, POSITION_UNKNOWN))
    along = held * _direction(action)
    if room.reduce_only or (market.market == "spot" and action is Action.SELL):
        size = _lowered(size, min(size, max(0.0, -along)), "position_held", clamps)
        return _left(size, clamps, f"context.position: only {abs(held):.4g} of equity is held")
    if along >= 0:
        size = _lowered(size, min(size, max(0.0, room.max_position_pct - along)), "position_after", clamps)
    return _left(size, clamps, f"max_position_pct: the position already is {abs(held):.4g} of equity")


def _left(size: float, clamps: list[Clamp], reason: str) -> Sized:
    return Sized(0.0, tuple(clamps), reason) if size < SIZE_MIN else Sized(size, tuple(clamps))


def _worthless(market: MarketContext) -> bool:
    return market.account is not None and market.account.equity is not None and market.account.equity <= 0


def _direction(action: Action) -> int:
    return 1 if action is Action.BUY else -1


def _lowered(before: float, after: float, limit: str, clamps: list[Clamp]) -> float:
    if after != before:
        clamps.append(Clamp(limit=limit, before=before, after=after))
    return after
