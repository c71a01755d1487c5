"""`SYMBOL=FILE`, as options name the candles of a market."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trading_llm.exits import WrongUse


def market_files(option: str, told: Sequence[str]) -> dict[str, Path]:
    """The file of each symbol, as this option was given. Raises WrongUse, which names what is wrong."""
    files: dict[str, Path] = {}
    for each in told:
        symbol, _, path = each.partition("=")
        if not symbol or not path:
            raise WrongUse(f"{option} {each}: must be SYMBOL=FILE")
        if symbol in files:
            raise WrongUse(f"{option} {symbol}: is given twice: want one file a symbol")
        files[symbol] = Path(path)
    return files
