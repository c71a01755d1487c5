"""One bot on one market with a capital of 1: its orders filled one by one, and its equity over all candles at once.

Nothing is known before its time. An order is filled at the open of the candle that its moment lies in, where at most a tenth of
it has passed by then and the decision knew none of it, and else at its close; in a gap at the next open. A stop or a target is
filled in the first candle that reaches it, at its price or, where the candle opens beyond it, at the open, before any order; of
both in one candle the stop. What an order that adds does not bring, and a trade that only reduces, leaves them as they are.
Funding is taken from what the account is worth, and is in no size. On a perpetual market an account is liquidated where it would
be worth nothing, and adds nothing above LEVERAGE_MAX times what it is worth.
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
ORDERED: Final = ("order", "ceded")
LEAST: Final = 1e-9  # units of a capital of 1 that are nothing
LEVERAGE_MAX: Final = 3.0  # on a perpetual market; a cautious bot's
Why = Literal["order", "stop", "target", "liquidated", "ceded"]


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
                self._miss(order, "no candle before its time was over")
                continue
            bar, closing = max(place, self._last)  # none goes before one that came before it
            self._leave(bar + closing)
            if not closing:
                self._leave_at_open(bar)
            self._fill(order, bar, closing)
        self._leave(len(self._bars))
        return self._account

    @property
    def _last(self) -> tuple[int, bool]:
        fills = self._account.fills
        return (fills[-1].bar, fills[-1].closing) if fills and fills[-1].why in ORDERED else (0, False)

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
            sold = order.action is Action.SELL and self._market == "spot"
            self._miss(order, "nothing to sell" if sold else "nothing to do")
            return
        before = self._units
        self._book(bar, units, self._costs.slipped(price, units), "ceded" if order.cedes else "order", order, closing)
        if self._units == 0 or before * self._units < 0:
            self._stop = self._target = None
        if self._units * units > 0:  # what it added to, or turned; what it only reduced keeps its own
            self._stop, self._target = order.stop or self._stop, order.target or self._target
        self._looked = max(self._looked, bar + closing)

    def _miss(self, order: Order, why: str) -> None:
        if not order.cedes:  # another cut-off's, which counts it
            self._account.missed[why] += 1

    def _wanted(self, order: Order, price: float) -> float:
        if order.action is Action.CLOSE:
            return -self._units
        worth = max(0.0, self._cash + self._units * price)
        units = order.size * worth / price
        if self._market == "perp":
            room, sign = LEVERAGE_MAX * worth / price, 1 if order.action is Action.BUY else -1
            return sign * min(units, max(0.0, room - sign * self._units))
        if order.action is Action.BUY:
            return min(units, max(0.0, self._cash) / (self._costs.slipped(price, 1) * (1 + self._costs.fee)))
        return -min(units, max(0.0, self._units))

    def _leave(self, until: int) -> None:
        """Stop or target, in the candles before this one that were not looked through."""
        first, self._looked = self._looked, max(self._looked, until)
        bars, own = self._bars, slice(first, until)
        self._end_where(first, bars.open[own], bars.low[own], bars.high[own])

    def _leave_at_open(self, bar: int) -> None:
        """Stop or target where this candle opens beyond it: that is before anybody's order at that open."""
        opened = self._bars.open[bar : bar + 1]
        self._end_where(bar, opened, opened, opened)

    def _end_where(self, first: int, opens: Numbers, lows: Numbers, highs: Numbers) -> None:
        if self._units == 0 or (found := self._reached(opens, lows, highs)) is None:
            return
        after, price, why = found
        self._book(first + after, -self._units, price, why, self._account.fills[-1].order)
        self._stop = self._target = None

    def _ruin(self) -> float | None:
        """The price at which leaving, with all that it costs, leaves nothing; None where no price does."""
        side = 1 if self._units > 0 else -1
        price = -self._cash / (self._costs.slipped(1.0, -side) * (self._units - abs(self._units) * self._costs.fee))
        return price if self._market == "perp" and price > 0 else None

    def _reached(self, opens: Numbers, lows: Numbers, highs: Numbers) -> tuple[int, float, Why] | None:
        """The first of these candles that ends it, at which price, and why."""
        long, ruin = self._units > 0, self._ruin()
        nearer, farther = (max, min) if long else (min, max)  # of two prices below what it is worth, the one that comes first
        level = nearer((each for each in (self._stop, ruin) if each is not None), default=None)
        stops = _where(level, lows if long else highs, below=long)
        targets = _where(self._target, highs if long else lows, below=not long)
        if min(stops, targets) == len(opens):
            return None
        if stops <= targets:
            assert level is not None
            price = farther(level, float(opens[stops]))
            if ruin is not None and nearer(price, ruin) == ruin:
                return stops, self._costs.slipped(ruin, -self._units), "liquidated"
            return stops, self._costs.slipped(price, -self._units), "stop"
        assert self._target is not None
        return targets, nearer(self._target, float(opens[targets])), "target"  # somebody waited there for us: nothing slips

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
    units, cash, paying = np.zeros(len(bars)), np.zeros(len(bars)), np.zeros(len(bars) + 1)
    for each in account.fills:
        units[each.bar] += each.units
        paying[each.bar + each.closing] += each.units  # what is bought at a close pays for no part of that candle
        cash[each.bar] -= each.units * each.price + abs(each.units) * each.price * costs.fee
    held = units.cumsum()
    funding = paying[:-1].cumsum() * funded(bars, costs, market)
    worth: Numbers = 1 + cash.cumsum() + held * bars.close - funding.cumsum()
    return np.maximum(worth, 0.0)  # a gap through the price of its liquidation is the market's loss


def funded(bars: Bars, costs: Costs, market: Market) -> Numbers:
    """What a unit that is held pays in each candle, in quote units: at the eighth hours, on a perpetual market."""
    if market == "spot":
        return np.zeros(len(bars))
    due = (bars.opens_ms + bars.step_ms) // EIGHT_HOURS_MS - bars.opens_ms // EIGHT_HOURS_MS
    paid: Numbers = due * bars.close * costs.funding
    return paid
