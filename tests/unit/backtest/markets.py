"""Made-up candles and orders for backtests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backtest.bars import Bars
from backtest.orders import Order
from schemas.action import Action

FIRST_MS, STEP_MS = 1_670_889_600_000, 60_000
KEY = ("bot", "S")


def bars(*candles: Sequence[float], gaps: Sequence[int] = ()) -> Bars:
    """Candles of open, high, low, close; `gaps` are the numbers of candles that a pause of one candle comes before."""
    rows = np.array(candles, dtype=np.float64)
    steps = np.array([0, *(2 if number in gaps else 1 for number in range(1, len(rows)))])
    return Bars(STEP_MS, FIRST_MS + STEP_MS * steps.cumsum(), *rows.T)


def flat(*prices: float) -> Bars:
    """Candles that stay at one price each."""
    return bars(*([price] * 4 for price in prices))


def order(bar: float, action: str = "BUY", size: float = 0.5, **fields: Any) -> Order:
    """An order in this candle of bars without gaps: a whole number is its open, and all it knows; it lives for a candle."""
    moment_ms = int(FIRST_MS + bar * STEP_MS)
    opened_ms = FIRST_MS + int(bar // 1) * STEP_MS
    own: dict[str, Any] = {
        "decision_id": f"{bar}", "account": KEY, "action": Action(action), "size": size, "stop": None, "target": None,
        "price": None, "moment_ms": moment_ms, "until_ms": moment_ms + STEP_MS, "as_of_ms": opened_ms, "model": "phi3",
        "cutoff": "past_cutoff",
    }  # fmt: skip
    return Order(**own | fields)
