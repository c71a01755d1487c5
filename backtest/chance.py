"""What chance would have made of the same orders: at random candles of their market, stops and targets as far away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from backtest.account import ORDERED, Account
from backtest.bars import Bars
from backtest.curve import Curve, Setting, curve_of
from backtest.orders import Order

DRAWS: Final = 100


def drawn(made: Curve, setting: Setting, seed: int, draws: int = DRAWS) -> Iterator[Curve]:
    """So many curves of what was filled in this one, each account's orders moved together: as long in the market.

    What reaches the end goes on at the beginning.
    """
    draw = random.Random(seed)
    for _ in range(draws):
        yield curve_of({key: _elsewhere(own, setting.markets[key[1]], draw) for key, own in made.accounts.items()}, setting)


def _elsewhere(account: Account, bars: Bars, draw: random.Random) -> list[Order]:
    by = draw.randrange(len(bars))
    fills = (each for each in account.fills if each.why in ORDERED)
    return [_moved(each.order, bars, (each.bar + each.closing + by) % len(bars)) for each in fills]


def _moved(order: Order, bars: Bars, place: int) -> Order:
    opens_ms, price = int(bars.opens_ms[place]), float(bars.open[place])
    scale = None if order.price is None else price / order.price
    stop, target = (None if level is None or scale is None else level * scale for level in (order.stop, order.target))
    moved = replace(order, moment_ms=opens_ms, until_ms=opens_ms + bars.step_ms, as_of_ms=opens_ms)
    return replace(moved, price=price, stop=stop, target=target)
