"""A market's candles as columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replay.candles import CandleError, rows_of, step_of

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles, oldest first, with gaps where there were none; prices in quote units, `opens_ms` epoch ms."""

    step_ms: int
    opens_ms: NDArray[np.int64]
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers

    def __len__(self) -> int:
        return len(self.opens_ms)

    @classmethod
    def read(cls, file: Path) -> Bars:
        """Those of a file. Raises CandleError, which names line, column and rule."""
        candles = [row.candle for row in rows_of(file)]
        times, *prices = zip(*candles, strict=True) if candles else [[] for _ in range(6)]
        opens, highs, lows, closes, _ = (np.array(each, dtype=np.float64) for each in prices)
        if len(lows) and lows.min() <= 0:
            raise CandleError(f"{file}: low: must be above 0: nothing can be bought for nothing")
        return cls(step_of(file), np.array(times, dtype=np.int64), opens, highs, lows, closes)

    def between(self, first_ms: int, last_ms: int) -> Bars:
        """Those from the one that holds the first moment to the one that holds the last."""
        first, last = (int(each) for each in np.searchsorted(self.opens_ms, (first_ms, last_ms), side="right"))
        own = slice(max(0, first - 1), max(1, last))
        columns = (each[own] for each in (self.open, self.high, self.low, self.close))
        return Bars(self.step_ms, self.opens_ms[own], *columns)

    def hold(self, moment_ms: int) -> bool:
        """Whether the moment lies between the first one's open and the last one's close."""
        return bool(self.opens_ms[0] <= moment_ms < self.opens_ms[-1] + self.step_ms)

    @property
    def periods_per_year(self) -> float:
        """How many of them a year has: markets of this kind never close."""
        return 365 * 86_400_000 / self.step_ms

    def at(self, moment_ms: int) -> int | None:
        """The candle that this moment lies in; None in a gap, before the first and after the last."""
        found = int(np.searchsorted(self.opens_ms, moment_ms, side="right")) - 1
        return found if found >= 0 and moment_ms < self.opens_ms[found] + self.step_ms else None

    def next_after(self, moment_ms: int) -> int | None:
        """The first candle that opens at this moment or later."""
        found = int(np.searchsorted(self.opens_ms, moment_ms, side="left"))
        return found if found < len(self) else None
