"""The summary says the same for every market: words relative to its own volatility, and "unknown" where nobody said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deciders.summary import MOVE_BARS, UNKNOWN, Sight, duration, summarise

pytestmark = pytest.mark.unit

FINITE = st.floats(allow_nan=False, allow_infinity=False)
PRICES = st.floats(min_value=0, exclude_min=True, allow_infinity=False)  # any that a context may hold


def words(sight: Sight) -> dict[str, str]:
    return {field.name: field.word for field in summarise(sight)}


def rising_by(step: float, bars: int = 30) -> tuple[float, ...]:
    """Closes that go up and down by `step`, and up by three of it at the last."""
    closes = [100 * math.exp(step * (n % 2)) for n in range(bars)]
    return (*closes, closes[-1] * math.exp(3 * step))


def test_what_nobody_said_is_called_unknown() -> None:
    said = words(Sight())
    assert {name for name, word in said.items() if word != UNKNOWN} == {"market", "horizon"}


def test_the_same_move_is_surging_in_a_calm_market_and_in_a_wild_one() -> None:
    assert words(Sight(closes=rising_by(0.0001)))["step"] == "surging"
    assert words(Sight(closes=rising_by(0.05)))["step"] == "surging"


def test_a_market_that_never_moves_is_flat() -> None:
    assert {words(Sight(closes=(5.0,) * 31))[name] for name in MOVE_BARS} == {"flat"}


@pytest.mark.parametrize(("first", "last", "word"), [(1e308, 5e-324, "plunging"), (5e-324, 1e308, "surging")])
def test_a_move_whose_ratio_is_no_float_is_told_like_any_other(first: float, last: float, word: str) -> None:
    step = summarise(Sight(closes=(first, last)))[4]
    assert (step.word, step.number.removeprefix("-").removeprefix("+")) == (word, "14536363bp")


@pytest.mark.parametrize(
    ("sight", "side"),
    [
        (Sight(position=0.5), "long"),
        (Sight(position=-0.5, market="perp"), "short"),
        (Sight(position=0.0), "none"),
        (Sight(has_position=False), "none"),
        (Sight(has_position=True), "long"),
        (Sight(), UNKNOWN),
    ],
)
def test_the_position_has_a_side_where_it_is_known(sight: Sight, side: str) -> None:
    assert words(sight)["position"] == side


@pytest.mark.parametrize(("position", "word"), [(1.0, "gaining"), (-1.0, "losing")])
def test_a_short_position_loses_where_a_long_one_gains(position: float, word: str) -> None:
    assert words(Sight(price=101.0, entry_price=100.0, position=position))["gain"] == word


@pytest.mark.parametrize(("seconds", "text"), [(900, "15m"), (3_600, "1h"), (86_400, "1d"), (90, "90s"), (1, "1s")])
def test_a_horizon_is_written_in_its_largest_whole_unit(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@given(st.lists(PRICES, max_size=40), FINITE, FINITE, FINITE, PRICES)
def test_no_number_makes_a_line_long_or_stops_it(
    closes: list[float], ratio: float, volatility: float, position: float, price: float
) -> None:
    sight = Sight(tuple(closes), price, ratio, volatility, 0.5, True, position, price, "perp", "1m", 31_536_000)
    lines = [field.line for field in summarise(sight)]
    assert len(lines) == 12
    assert max(map(len, lines)) <= 48
