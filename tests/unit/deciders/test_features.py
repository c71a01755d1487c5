"""What the rules see: the known keys, else what the candles say, else unknown."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deciders.features import Features, compute_features
from schemas.market import MarketContext
from schemas.policy import Thresholds
from tests.unit.samples import LOGGED_MS, candles

pytestmark = pytest.mark.unit

THRESHOLDS = Thresholds()


def features(**context: Any) -> Features:
    return compute_features(MarketContext.model_validate(context), THRESHOLDS)


def test_what_nobody_said_is_unknown_and_never_holds() -> None:
    seen = features(price=45000, volume=1_000_000)
    assert seen == Features()
    assert not any(seen.hold((name,)) for name in ("has_position", "high_volume", "volatility_high", "sentiment_clear"))
    assert seen.as_route() == {
        "has_position": "unknown",
        "high_volume": "unknown",
        "volatility_high": "unknown",
        "sentiment_clear": "unknown",
        "volume_ratio": None,
        "volatility": None,
        "sentiment": None,
    }


@pytest.mark.parametrize(
    ("context", "name", "expected"),
    [
        ({"volume_ratio": 1.5}, "high_volume", True),
        ({"volume_ratio": 1.49}, "high_volume", False),
        ({"volatility": 0.8}, "volatility_high", True),
        ({"volatility": 0.79}, "volatility_high", False),
        ({"sentiment": 0.6}, "sentiment_clear", True),
        ({"sentiment": -0.6}, "sentiment_clear", True),
        ({"sentiment": 0.59}, "sentiment_clear", False),
        ({"position": -0.5}, "has_position", True),
        ({"position": {"size": 0}}, "has_position", False),
        ({"has_position": False}, "has_position", False),
    ],
)
def test_a_fact_holds_from_its_threshold_on(context: dict[str, Any], name: str, expected: bool) -> None:
    assert getattr(features(**context), name) is expected


def test_candles_say_what_the_known_keys_do_not() -> None:
    closes = [100.0, 101.0, 100.0, 101.0, 100.0, 101.0]
    seen = features(interval="1m", candles=candles(closes, [2, 2, 2, 2, 2, 5]))
    step = math.log(1.01)
    returns = [step, -step, step, -step, step]
    mean = sum(returns) / 5
    deviation = math.sqrt(sum((one - mean) ** 2 for one in returns) / 4)
    assert seen.volume_ratio == 2.5
    assert seen.volatility == pytest.approx(deviation * math.sqrt(365 * 24 * 60), abs=1e-5)
    assert (seen.high_volume, seen.volatility_high) == (True, True)


def test_known_keys_go_before_candles() -> None:
    rows = candles([100.0, 101.0] * 3, [1, 1, 1, 1, 1, 9])
    seen = features(interval="1m", candles=rows, volume_ratio=1.0, volatility=0.1)
    assert (seen.volume_ratio, seen.volatility) == (1.0, 0.1)


def test_only_the_recent_bars_count() -> None:
    calm = candles([100.0] * 21, [1.0] * 20 + [1.0])
    wild = [[row[0] - 21 * 60_000, 50.0, 50.0, 50.0, 50.0, 1e9] for row in calm]
    seen = features(interval="1m", candles=wild + calm)
    assert (seen.volume_ratio, seen.volatility) == (1.0, 0.0)


def test_a_longer_interval_is_annualised_less() -> None:
    closes = [100.0, 101.0, 100.0, 101.0, 100.0]
    minute = features(interval="1m", candles=candles(closes)).volatility
    hour = features(interval="1h", candles=candles(closes, interval_ms=3_600_000)).volatility
    assert minute is not None
    assert hour is not None
    assert minute / hour == pytest.approx(math.sqrt(60), rel=1e-5)


@pytest.mark.parametrize(
    "context",
    [
        {"candles": candles([1.0, 2.0, 3.0, 4.0]), "interval": "1m"},
        {"candles": [[LOGGED_MS + n * 120_000, 1, 1, 1, 1 + n, 0] for n in range(9)], "interval": "1m"},
        {"candles": []},
    ],
)
def test_too_few_bars_or_bars_with_gaps_say_nothing(context: dict[str, Any]) -> None:
    seen = features(**context)
    assert (seen.volatility, seen.volume_ratio) == (None, None)


PRICES = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
VOLUMES = st.floats(min_value=0, allow_infinity=False)


@given(st.lists(st.tuples(PRICES, VOLUMES), max_size=30))
def test_no_candles_make_a_number_that_is_none(bars: list[tuple[float, float]]) -> None:
    rows = candles([close for close, _ in bars], [volume for _, volume in bars])
    seen = features(interval="1m", candles=rows)
    assert all(number is None or math.isfinite(number) for number in (seen.volume_ratio, seen.volatility))


def measured(**context: Any) -> Features:
    return compute_features(MarketContext.model_validate(context), Thresholds(large_position_pct=0.05))


@pytest.mark.parametrize(
    ("context", "large", "pct"),
    [
        ({"price": 100.0, "position": 5.0, "account": {"equity": 10_000}}, True, 0.05),
        ({"price": 100.0, "position": -6.0, "account": {"equity": 10_000}}, True, 0.06),
        ({"price": 100.0, "position": 4.99, "account": {"equity": 10_000}}, False, 0.0499),
        ({"position": 0}, False, 0.0),
        ({"has_position": False}, False, 0.0),
        ({"price": 100.0, "has_position": True, "account": {"equity": 10_000}}, None, None),
        ({"position": 5.0, "account": {"equity": 10_000}}, None, None),
        ({"price": 100.0, "position": 5.0}, None, None),
        ({"price": 100.0, "position": 5.0, "account": {"cash": 1}}, None, None),
        ({"price": 100.0, "position": 5.0, "account": {"equity": -1}}, None, None),
        ({"price": 1e300, "position": 1e300, "account": {"equity": 1}}, None, None),
        ({}, None, None),
    ],
)
def test_a_position_is_large_from_its_share_of_equity_on(context: dict[str, Any], large: bool | None, pct: float | None) -> None:
    seen = measured(**context)
    assert (seen.large_position, seen.position_pct) == (large, pct)
    assert seen.hold(("large_position",)) is (large is True)
    shown = seen.as_route()
    assert (shown["large_position"], shown["position_pct"]) == ("unknown" if large is None else large, pct)


def test_where_the_policy_does_not_ask_for_it_nothing_is_shown_of_a_positions_size() -> None:
    seen = features(price=100.0, position=5.0, account={"equity": 100})
    assert seen.large_position is None
    assert seen.as_route().keys().isdisjoint(("large_position", "position_pct"))
