"""What trading costs, as assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Market = Literal["spot", "perp"]
BPS: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Costs:
    """In hundredths of a percent of what is traded; `funding_bps` of what is held, each eight hours, long pays short (perp)."""

    fee_bps: float = 10.0
    slippage_bps: float = 5.0
    funding_bps: float = 1.0

    @property
    def fee(self) -> float:
        """A fraction of the notional."""
        return self.fee_bps * BPS

    def slipped(self, price: float, units: float) -> float:
        """What is paid or had for so many units, which are negative where they are sold."""
        return price * (1 + self.slippage_bps * BPS * (1 if units > 0 else -1))

    @property
    def funding(self) -> float:
        """A fraction of the notional, each time."""
        return self.funding_bps * BPS
