"""A market's candles as columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replay.candles import rows_of, step_of

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
        return cls(step_of(file), np.array(times, dtype=np.int64), opens, highs, lows, closes)

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
