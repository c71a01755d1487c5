"""The figures of a curve, by empyrical-reloaded; the periods of a year are always passed, never its default of 252."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import empyrical

from backtest.curve import Curve

ANNUAL_DAYS_MIN: Final = 30  # a year's return from less is a figure of speech


@dataclass(frozen=True, slots=True)
class Figures:
    """Fractions, but for the ratios. None where it cannot be told: of too short a time, or of a curve that never moves."""

    total_return: float
    annual_return: float | None
    annual_volatility: float
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    turnover: float
    trades: int


def figures_of(curve: Curve, periods_per_year: float) -> Figures:
    """Of this curve, whose points are so many a year."""
    returns = curve.returns
    days = 365 * len(returns) / periods_per_year  # of candles: markets years apart make no years
    told = {"annualization": periods_per_year}
    return Figures(
        total_return=float(curve.worth.iloc[-1] - 1),
        annual_return=_finite(empyrical.annual_return(returns, **told)) if days >= ANNUAL_DAYS_MIN else None,
        annual_volatility=float(empyrical.annual_volatility(returns, **told)),
        sharpe=_finite(empyrical.sharpe_ratio(returns, **told)),
        sortino=_finite(empyrical.sortino_ratio(returns, **told)),
        max_drawdown=float(empyrical.max_drawdown(returns)),
        turnover=curve.turnover,
        trades=curve.trades,
    )


def _finite(ratio: float) -> float | None:
    return float(ratio) if abs(ratio) < float("inf") else None
