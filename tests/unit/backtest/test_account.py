"""What orders come to, reckoned by hand: fills, costs, stops, targets, gaps, funding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backtest.account import LEVERAGE_MAX, Account, Trader, equity
from backtest.bars import Bars
from backtest.costs import Costs, Market
from backtest.orders import Order
from tests.unit.backtest.markets import FIRST_MS, STEP_MS, bars, flat, order

pytestmark = pytest.mark.unit

FREE = Costs(0, 0, 0)


def traded(own: Bars, *orders: Order, costs: Costs = FREE, market: Market = "spot") -> tuple[Account, list[float]]:
    account = Trader(own, costs, market).trade(orders)
    return account, [float(each) for each in equity(account, own, costs, market)]


def test_half_of_the_capital_gains_half_of_the_rise() -> None:
    account, worth = traded(flat(100, 110, 121), order(0))
    assert [(each.bar, each.units, each.price) for each in account.fills] == [(0, 0.005, 100)]
    assert worth == pytest.approx([1, 1.05, 1.105])


def test_fee_and_slippage_are_paid_on_the_way_in_and_out() -> None:
    _, worth = traded(flat(100, 100, 100), order(0), order(1, "CLOSE", 1), costs=Costs(fee_bps=10, slippage_bps=5))
    bought = 0.005 * 100 * 1.0005  # paid for 0.005 units
    sold = 0.005 * 100 * 0.9995
    assert worth[0] == pytest.approx(1 - bought - 0.001 * bought + 0.5)
    assert worth[2] == pytest.approx(1 - bought * 1.001 + sold * 0.999)


def test_a_second_order_adds_by_what_the_account_is_worth_then() -> None:
    account, _ = traded(flat(100, 200, 200), order(0, size=0.5), order(1, size=0.1))
    assert account.fills[1].units == pytest.approx(0.1 * 1.5 / 200)


@pytest.mark.parametrize(("late", "price", "closing"), [(0.0, 10, False), (0.1, 10, False), (0.2, 12, True)])
def test_a_moment_within_a_candle_gets_its_open_or_where_it_is_late_its_close(late: float, price: float, closing: bool) -> None:
    account, _ = traded(bars([9, 9, 9, 9], [10, 13, 9, 12], [14, 14, 14, 14]), order(1 + late))
    assert [(each.bar, each.price, each.closing) for each in account.fills] == [(1, price, closing)]


def test_what_is_over_before_the_close_that_it_would_get_is_not_filled() -> None:
    over_ms = FIRST_MS + int(1.9 * STEP_MS)
    account, worth = traded(flat(10, 11, 12), order(1.5, until_ms=over_ms))
    assert (account.fills, worth) == ([], [1, 1, 1])
    assert account.missed == {"no candle before its time was over": 1}


def test_what_knew_some_of_a_candle_does_not_get_its_open() -> None:
    own = bars([10, 10, 10, 10], [10, 13, 9, 12], [14, 14, 14, 14])
    account, _ = traded(own, order(1.1, as_of_ms=FIRST_MS + STEP_MS + 1))
    assert [(each.price, each.closing) for each in account.fills] == [(12, True)]


@pytest.mark.parametrize("moment", [1.0, 1.05, 1.5])
def test_what_comes_when_its_time_is_over_is_not_filled(moment: float) -> None:
    account, _ = traded(flat(10, 11, 12), order(moment, until_ms=FIRST_MS + STEP_MS))
    assert not account.fills and account.missed.total() == 1


def test_in_a_gap_it_waits_for_the_next_open_while_its_time_lasts() -> None:
    own = bars(*([price] * 4 for price in (10, 11, 12)), gaps=[1])
    in_time, _ = traded(own, order(1.2))
    assert [(each.bar, each.price) for each in in_time.fills] == [(1, 11)]
    late, _ = traded(own, order(1.2, until_ms=FIRST_MS + 2 * STEP_MS))
    assert late.missed.total() == 1 and not late.fills
    for outside in (-5, 50):
        assert traded(own, order(outside))[0].missed.total() == 1


def test_close_flattens_and_on_spot_nobody_sells_what_he_has_not() -> None:
    account, worth = traded(flat(100, 110, 220, 100), order(0), order(1, "CLOSE", 1), order(2, "SELL"), order(3, "CLOSE", 1))
    assert [each.units for each in account.fills] == pytest.approx([0.005, -0.005])
    assert worth == pytest.approx([1, 1.05, 1.05, 1.05])
    assert account.missed == {"nothing to sell": 1, "nothing to do": 1}


def test_on_spot_no_more_is_bought_than_there_is_cash_for() -> None:
    account, worth = traded(flat(100, 100, 200), order(0, size=0.8), order(1, size=0.8), costs=Costs(fee_bps=100, slippage_bps=0))
    assert sum(each.units * each.price for each in account.fills) == pytest.approx(1 / 1.01)
    assert worth[-1] == pytest.approx(2 / 1.01)


def test_on_a_perpetual_one_may_be_short_and_a_sale_turns_what_is_held() -> None:
    account, worth = traded(flat(100, 50, 50), order(0, "SELL"), order(1, "BUY", 1.0), market="perp")
    assert [each.units for each in account.fills] == pytest.approx([-0.005, 1.25 / 50])
    assert worth == pytest.approx([1, 1.25, 1.25])


@pytest.mark.parametrize(
    ("action", "levels", "candle", "price", "why"),
    [
        ("BUY", (95, 120), [100, 101, 94, 99], 95, "stop"),
        ("BUY", (95, 120), [100, 121, 99, 110], 120, "target"),
        ("BUY", (95, 120), [100, 125, 90, 110], 95, "stop"),  # both: nobody knows which came first
        ("BUY", (95, 120), [90, 130, 88, 110], 90, "stop"),  # it opened below: that is what there was
        ("BUY", (95, 120), [130, 131, 96, 110], 130, "target"),
        ("SELL", (105, 80), [100, 106, 99, 101], 105, "stop"),
        ("SELL", (105, 80), [100, 101, 79, 90], 80, "target"),
        ("SELL", (105, 80), [110, 111, 100, 101], 110, "stop"),
    ],
)
def test_a_stop_and_a_target_end_it_in_the_candle_that_reaches_them(
    action: str, levels: tuple[float, float], candle: list[float], price: float, why: str
) -> None:
    own = bars([100] * 4, candle, [100] * 4)
    account, worth = traded(own, order(0, action, stop=levels[0], target=levels[1]), market="perp")
    assert [(each.bar, each.price, each.why) for each in account.fills[1:]] == [(1, price, why)]
    sign = 1 if action == "BUY" else -1
    assert worth[1:] == pytest.approx([1 + sign * 0.005 * (price - 100)] * 2)


@pytest.mark.parametrize(
    ("first", "second", "levels", "market"),
    [("BUY", "SELL", (105, 95), "spot"), ("BUY", "SELL", (105, 95), "perp"), ("SELL", "BUY", (95, 105), "perp")],
)
def test_what_is_left_of_a_reduced_position_keeps_its_own_stop(
    first: str, second: str, levels: tuple[float, float], market: Any
) -> None:
    away = 90.0 if first == "BUY" else 110.0
    own = flat(100, 100, 100, away)
    less = order(1, second, 0.2, stop=levels[0], target=levels[1])
    account, _ = traded(own, order(0, first, 0.5, stop=away), less, market=market)
    assert [(each.bar, each.why) for each in account.fills] == [(0, "order"), (1, "order"), (3, "stop")]


def test_what_is_turned_has_the_stop_of_the_order_that_turned_it() -> None:
    turn = order(1, "SELL", 0.8, stop=110.0)
    account, _ = traded(flat(100, 100, 90, 110), order(0, size=0.5, stop=95.0), turn, market="perp")
    assert [(each.bar, each.why, each.price) for each in account.fills[2:]] == [(3, "stop", 110)]


def test_the_candle_of_the_fill_can_end_it_but_not_the_one_before_a_fill_at_its_close() -> None:
    falls = bars([100, 101, 90, 100], [100, 101, 100, 100])
    assert [each.why for each in traded(falls, order(0, stop=95.0))[0].fills] == ["order", "stop"]
    assert [each.why for each in traded(falls, order(0.5, stop=95.0))[0].fills] == ["order"]


def test_a_stop_slips_and_a_target_does_not() -> None:
    costs = Costs(fee_bps=0, slippage_bps=100)
    own = bars([100] * 4, [100, 120, 80, 100])
    assert traded(own, order(0, stop=90.0), costs=costs)[0].fills[1].price == pytest.approx(90 * 0.99)
    assert traded(own, order(0, target=110.0), costs=costs)[0].fills[1].price == 110


def test_funding_is_paid_at_each_eighth_hour_by_who_is_long() -> None:
    hours = 17  # midnight, and so 08:00 and 16:00 within
    own = flat(*([100.0] * hours * 60))
    costs = Costs(fee_bps=0, slippage_bps=0, funding_bps=10)
    assert traded(own, order(0), costs=costs, market="perp")[1][-1] == pytest.approx(1 - 2 * 0.5 * 0.001)
    assert traded(own, order(0, "SELL"), costs=costs, market="perp")[1][-1] == pytest.approx(1 + 2 * 0.5 * 0.001)
    assert traded(own, order(0), costs=costs)[1][-1] == pytest.approx(1), "on spot nobody pays it"


@pytest.mark.parametrize("market", ["spot", "perp"])
def test_the_curve_over_all_candles_is_the_one_reckoned_fill_by_fill(market: Any) -> None:
    draw = np.random.default_rng(5)
    prices = 100 * np.exp(draw.normal(0, 0.01, 400).cumsum())
    own = bars(*([price, price * 1.002, price * 0.998, price] for price in prices))
    orders = [
        order(int(at), str(action), float(size), stop=float(prices[at] * 0.97))
        for at, action, size in zip(
            range(0, 400, 7), draw.choice(["BUY", "SELL", "CLOSE"], 58), draw.uniform(0.01, 0.3, 58), strict=True
        )
    ]
    costs = Costs(funding_bps=0)
    account, worth = traded(own, *orders, costs=costs, market=market)
    cash, units, at = 1.0, 0.0, 0
    for bar, price in enumerate(prices):
        while at < len(account.fills) and account.fills[at].bar == bar:
            fill, at = account.fills[at], at + 1
            cash -= fill.units * fill.price + abs(fill.units) * fill.price * costs.fee
            units += fill.units
        assert worth[bar] == pytest.approx(cash + units * price)
        assert market == "perp" or (units >= -1e-9 and cash >= -1e-9)
    assert at == len(account.fills) > 30


def test_a_gap_through_a_stop_ends_it_before_an_order_at_that_open() -> None:
    own = bars([100] * 4, [100] * 4, [80] * 4, [80] * 4)
    account, worth = traded(own, order(0, stop=95.0), order(2, size=0.1, stop=50.0))
    assert [(each.why, each.bar, each.price) for each in account.fills] == [("order", 0, 100), ("stop", 2, 80), ("order", 2, 80)]
    assert worth[-1] == pytest.approx(0.9)


def test_what_is_added_without_a_stop_keeps_the_one_that_there_is() -> None:
    account, _ = traded(bars([100] * 4, [100] * 4, [100, 100, 90, 90]), order(0, stop=95.0), order(1, size=0.1))
    assert [(each.why, each.price) for each in account.fills][-1] == ("stop", 95)


@pytest.mark.parametrize(("action", "moved"), [("BUY", 60.0), ("SELL", 140.0)])
def test_a_perpetual_account_holds_no_more_than_its_leverage_and_ends_at_nothing(action: str, moved: float) -> None:
    prices = [100.0] * 25 + [moved] + [100.0] * 3
    orders = [order(n, action, size=0.5) for n in range(20)] + [order(26, "BUY")]
    account, worth = traded(flat(*prices), *orders, market="perp", costs=Costs(10, 5, 0))
    held = sum(each.units for each in account.fills if each.why == "order")
    assert abs(held) * 100 == pytest.approx(LEVERAGE_MAX, rel=0.02)
    assert account.fills[-1].why == "liquidated" and account.missed == {"nothing to do": len(orders) - len(account.fills) + 1}
    assert worth[25:] == pytest.approx([0, 0, 0, 0], abs=1e-9)


def test_a_stop_before_the_price_of_ruin_ends_it_first() -> None:
    own = bars([100] * 4, [100, 100, 60, 60])
    account, worth = traded(own, *(order(0, size=3.0, stop=90.0),), market="perp")
    assert (account.fills[-1].why, account.fills[-1].price) == ("stop", 90) and worth[-1] == pytest.approx(0.7)


def test_what_is_bought_at_a_close_pays_no_funding_for_that_candle() -> None:
    day_ms = 86_400_000
    own = Bars(day_ms, FIRST_MS + np.arange(3) * day_ms, *np.full((4, 3), 100.0))
    late = order(0, size=1.0, moment_ms=FIRST_MS + day_ms // 2, until_ms=FIRST_MS + day_ms)
    _, worth = traded(own, late, costs=Costs(0, 0, 100), market="perp")
    assert worth == pytest.approx([1, 0.97, 0.94])


def test_no_order_is_filled_before_one_that_came_before_it() -> None:
    own = bars([100, 120, 100, 120], [120] * 4)
    knew = order(0.03, as_of_ms=FIRST_MS + 1)
    account, _ = traded(own, knew, order(0.08, "CLOSE", 1, as_of_ms=FIRST_MS))
    assert [(each.price, each.closing) for each in account.fills] == [(120, True), (120, True)]


def test_a_gap_through_a_stop_and_the_price_of_ruin_leaves_nothing_and_no_debt() -> None:
    account, worth = traded(flat(100, 100, 20, 500), order(0, size=3.0, stop=90.0), market="perp")
    assert account.fills[-1].why == "liquidated" and worth == pytest.approx([1, 1, 0, 0])
