"""One bot on one market with a capital of 1: its orders filled one by one, and its equity over all candles at once.

Nothing is known before its time. An order is filled at the open of the candle that its moment lies in, where at most a tenth of
it has passed by then and the decision knew none of it, and else at its close; in a gap at the next open. A stop or a target is
filled in the first candle that reaches it, at its price or, where the candle opens beyond it, at the open; of both in one candle
the stop. A trade that only reduces leaves both as they are. Funding is taken from what the account is worth, and is in no size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from backtest.bars import Bars, Numbers
from backtest.costs import Costs, Market
from backtest.orders import Order
from schemas.action import Action

PROMPT_SHARE: Final = 0.1  # of a candle: until then its open is the price of the moment
EIGHT_HOURS_MS: Final = 8 * 3_600_000
LEAST: Final = 1e-9  # units of a capital of 1 that are nothing
Why = Literal["order", "stop", "target"]


@dataclass(frozen=True, slots=True)
class Fill:
    """So many units (negative: sold) in this candle at this price, slippage included; `closing`: at its close, not its open."""

    bar: int
    units: float
    price: float
    why: Why
    order: Order
    closing: bool = False


@dataclass(slots=True)
class Account:
    """What its orders came to. `missed` counts those that were not filled, by the reason."""

    fills: list[Fill] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)

    @property
    def turnover(self) -> float:
        """Notional traded, as a multiple of the capital."""
        return float(sum(abs(each.units) * each.price for each in self.fills))


class Trader:
    """Fills the orders of one account, in the order of their moments."""

    def __init__(self, bars: Bars, costs: Costs, market: Market) -> None:
        self._bars, self._costs, self._market = bars, costs, market
        self._cash, self._units = 1.0, 0.0
        self._stop: float | None = None
        self._target: float | None = None
        self._looked = 0  # the first candle that has not been looked through for stop and target
        self._account = Account()

    def trade(self, orders: Sequence[Order]) -> Account:
        """What comes of these."""
        for order in sorted(orders, key=lambda each: each.moment_ms):
            place = self._place(order)
            if place is None:
                self._account.missed["no candle before its time was over"] += 1
                continue
            bar, closing = place
            self._leave(bar + closing, order)
            self._fill(order, bar, closing)
        self._leave(len(self._bars), None)
        return self._account

    def _place(self, order: Order) -> tuple[int, bool] | None:
        """The candle, and whether at its close."""
        bars = self._bars
        if order.moment_ms >= order.until_ms:
            return None
        if (bar := bars.at(order.moment_ms)) is None:
            bar = bars.next_after(order.moment_ms)
            return None if bar is None or bars.opens_ms[bar] >= order.until_ms else (bar, False)
        opened_ms = int(bars.opens_ms[bar])
        if order.as_of_ms <= opened_ms and order.moment_ms - opened_ms <= PROMPT_SHARE * bars.step_ms:
            return bar, False
        return (bar, True) if opened_ms + bars.step_ms <= order.until_ms else None

    def _fill(self, order: Order, bar: int, closing: bool) -> None:
        price = float((self._bars.close if closing else self._bars.open)[bar])
        units = self._wanted(order, price)
        if abs(units) * price < LEAST:
            self._account.missed["nothing to sell" if order.action is Action.SELL else "nothing to do"] += 1
            return
        self._book(bar, units, self._costs.slipped(price, units), "order", order, closing)
        if self._units == 0:
            self._stop = self._target = None
        elif self._units * units > 0:  # what it added to, or turned; what it only reduced keeps its own
            self._stop, self._target = order.stop, order.target
        self._looked = bar + closing

    def _wanted(self, order: Order, price: float) -> float:
        if order.action is Action.CLOSE:
            return -self._units
        units = order.size * max(0.0, self._cash + self._units * price) / price
        if order.action is Action.BUY:
            paid = self._costs.slipped(price, 1) * (1 + self._costs.fee)
            return units if self._market == "perp" else min(units, max(0.0, self._cash) / paid)
        return -units if self._market == "perp" else -min(units, max(0.0, self._units))

    def _leave(self, until: int, order: Order | None) -> None:
        """Stop or target, in the candles before this one that were not looked through."""
        first, self._looked = self._looked, max(self._looked, until)
        if abs(self._units) <= LEAST or not self._account.fills:
            return
        if (found := self._reached(first, until)) is not None:
            bar, price, why = found
            self._book(bar, -self._units, price, why, self._account.fills[-1].order)
            self._stop = self._target = None

    def _reached(self, first: int, until: int) -> tuple[int, float, Why] | None:
        bars, long = self._bars, self._units > 0
        opens, lows, highs = bars.open[first:until], bars.low[first:until], bars.high[first:until]
        stops = _where(self._stop, lows if long else highs, below=long)
        targets = _where(self._target, highs if long else lows, below=not long)
        if min(stops, targets) == len(opens):
            return None
        if stops <= targets:
            assert self._stop is not None
            gapped = min(self._stop, opens[stops]) if long else max(self._stop, opens[stops])
            return first + stops, self._costs.slipped(float(gapped), -self._units), "stop"
        assert self._target is not None
        better = max(self._target, opens[targets]) if long else min(self._target, opens[targets])
        return first + targets, float(better), "target"  # somebody waited there for us: nothing slips

    def _book(self, bar: int, units: float, price: float, why: Why, order: Order, closing: bool = False) -> None:
        self._cash -= units * price + abs(units) * price * self._costs.fee
        self._units += units
        if abs(self._units) <= LEAST:
            self._units = 0.0
        self._account.fills.append(Fill(bar, units, price, why, order, closing))


def _where(level: float | None, reaches: Numbers, *, below: bool) -> int:
    """The first candle that reaches the level, or how many there are."""
    if level is None:
        return len(reaches)
    found = np.flatnonzero(reaches <= level if below else reaches >= level)
    return int(found[0]) if len(found) else len(reaches)


def equity(account: Account, bars: Bars, costs: Costs, market: Market) -> Numbers:
    """What the account is worth at each candle's close, all at once; 1 before anything was traded."""
    units, cash = np.zeros(len(bars)), np.zeros(len(bars))
    for each in account.fills:
        units[each.bar] += each.units
        cash[each.bar] -= each.units * each.price + abs(each.units) * each.price * costs.fee
    held = units.cumsum()
    worth: Numbers = 1 + cash.cumsum() + held * bars.close - (held * funded(bars, costs, market)).cumsum()
    return worth


def funded(bars: Bars, costs: Costs, market: Market) -> Numbers:
    """What a unit that is held pays in each candle, in quote units: at the eighth hours, on a perpetual market."""
    if market == "spot":
        return np.zeros(len(bars))
    due = (bars.opens_ms + bars.step_ms) // EIGHT_HOURS_MS - bars.opens_ms // EIGHT_HOURS_MS
    paid: Numbers = due * bars.close * costs.funding
    return paid
