"""Candles named by option: a file a symbol, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_llm.exits import WrongUse
from trading_llm.market_files import market_files

pytestmark = pytest.mark.unit


def test_each_symbol_has_its_file_whose_name_may_hold_anything() -> None:
    assert market_files("--csv", ["BTC/USDT=a=b.csv", "ETH=e.csv"]) == {"BTC/USDT": Path("a=b.csv"), "ETH": Path("e.csv")}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["S"], "--csv S: must be SYMBOL=FILE"),
        (["S="], "--csv S=: must be SYMBOL=FILE"),
        (["=f"], "--csv =f: must be SYMBOL=FILE"),
        (["S=a", "S=b"], "--csv S: is given twice: want one file a symbol"),
    ],
)
def test_what_is_no_pair_or_twice_there_is_refused_by_name(told: list[str], said: str) -> None:
    with pytest.raises(WrongUse, match=f"^{said}$"):
        market_files("--csv", told)
