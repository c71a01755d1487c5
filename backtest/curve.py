"""What several accounts are worth together, candle by candle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from backtest.account import Account, Trader, equity, funded
from backtest.bars import Bars
from backtest.costs import Costs, Market
from backtest.orders import Order

Key = tuple[str, str]  # bot and symbol


@dataclass(frozen=True, slots=True)
class Setting:
    """What all that is compared has in common: markets by symbol, which accounts there are, what trading costs."""

    markets: Mapping[str, Bars]
    accounts: tuple[Key, ...]
    costs: Costs
    market: Market

    @property
    def periods_per_year(self) -> float:
        """Of the longest candles, at whose closes the curve has its points."""
        return min(self.markets[symbol].periods_per_year for _, symbol in self.accounts)

    @property
    def step_ms(self) -> int:
        """The length of the longest candles."""
        return max(self.markets[symbol].step_ms for _, symbol in self.accounts)


@dataclass(frozen=True, slots=True)
class Curve:
    """`worth`: of all accounts together, begun with 1, by the closes' moments in UTC. `accounts`: each one's fills.

    `bought`: how many accounts have none, and bought once for all that they had.
    """

    worth: pd.Series
    accounts: Mapping[Key, Account]
    bought: int = 0

    @property
    def returns(self) -> pd.Series:
        """From one point to the next, a fraction; the first counts from 1. What is worth nothing stays so."""
        before = self.worth.shift(1, fill_value=1.0)
        return (self.worth / before.where(before > 0) - 1).fillna(0.0)

    @property
    def turnover(self) -> float:
        """Notional traded, as a multiple of the capital."""
        return 1.0 if self.bought else sum(each.turnover for each in self.accounts.values()) / len(self.accounts)

    @property
    def trades(self) -> int:
        """How often something was bought or sold."""
        return self.bought + sum(len(each.fills) for each in self.accounts.values())


def curve_of(orders: Mapping[Key, Sequence[Order]], setting: Setting) -> Curve:
    """What these orders of each account come to; an account without any holds its capital."""
    accounts, worths = {}, []
    for key in setting.accounts:
        bars = setting.markets[key[1]]
        account = Trader(bars, setting.costs, setting.market).trade(orders.get(key, ()))
        accounts[key] = account
        worths.append(_dated(equity(account, bars, setting.costs, setting.market), bars))
    return Curve(_together(worths, setting.step_ms), accounts)


def held(setting: Setting) -> Curve:
    """Each account buys its market at the first open for all that it has, and keeps it."""
    worths = []
    for _, symbol in setting.accounts:
        bars = setting.markets[symbol]
        price = setting.costs.slipped(float(bars.open[0]), 1) * (1 + setting.costs.fee)
        units, funding = 1 / price, funded(bars, setting.costs, setting.market)
        worths.append(_dated(units * (bars.close - funding.cumsum()), bars))
    return Curve(_together(worths, setting.step_ms), {}, bought=len(worths))


def _dated(worth: object, bars: Bars) -> pd.Series:
    return pd.Series(worth, index=pd.to_datetime(bars.opens_ms + bars.step_ms, unit="ms", utc=True))


def _together(worths: Sequence[pd.Series], step_ms: int) -> pd.Series:
    """Their mean: equal shares of one capital, at the closes of the longest candles, of which a year has so many.

    Before its first candle an account holds its share, after the last what it has.
    """
    table = pd.concat(worths, axis=1).sort_index().ffill().fillna(1.0)
    together = table.mean(axis=1)
    return together.groupby(together.index.ceil(f"{step_ms}ms")).last()
