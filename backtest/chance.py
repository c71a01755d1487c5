"""What chance would have made of the same orders: each at a random candle of its market, stops and targets as far away."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from backtest.bars import Bars
from backtest.curve import Curve, Key, Setting, curve_of
from backtest.orders import Order

DRAWS: Final = 100


def drawn(orders: Mapping[Key, Sequence[Order]], setting: Setting, seed: int, draws: int = DRAWS) -> Iterator[Curve]:
    """So many curves of as many orders of the same sizes and kinds, and so of about the same turnover."""
    draw = random.Random(seed)
    for _ in range(draws):
        yield curve_of({key: _anywhere(own, setting.markets[key[1]], draw) for key, own in orders.items()}, setting)


def _anywhere(orders: Sequence[Order], bars: Bars, draw: random.Random) -> list[Order]:
    places = [draw.randrange(len(bars)) for _ in orders]
    return [_moved(order, bars, place) for order, place in zip(orders, places, strict=True)]


def _moved(order: Order, bars: Bars, place: int) -> Order:
    opens_ms, price = int(bars.opens_ms[place]), float(bars.open[place])
    scale = None if order.price is None else price / order.price
    stop, target = (None if level is None or scale is None else level * scale for level in (order.stop, order.target))
    moved = replace(order, moment_ms=opens_ms, until_ms=opens_ms + bars.step_ms, as_of_ms=opens_ms)
    return replace(moved, price=price, stop=stop, target=target)
