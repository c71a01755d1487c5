"""What a decision may say to do."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """Buy, sell, do nothing, or flatten all of the position."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"
    CLOSE = "CLOSE"
