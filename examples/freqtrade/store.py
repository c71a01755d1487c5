"""Decisions in a file that a strategy reads without waiting. Standard library only: freqtrade has packages of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

READ_S_MAX = 0.05  # a writer that holds the file longer is not waited for: the next look is seconds away
WRITE_S_MAX = 5.0
TABLE = """
CREATE TABLE IF NOT EXISTS decisions (
    decision_id TEXT PRIMARY KEY, bot_id TEXT, pair TEXT, as_of TEXT, valid_until TEXT,
    action TEXT, size_pct REAL, stop_loss REAL, take_profit REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_moment ON decisions (bot_id, pair, as_of);
"""


class Decided(NamedTuple):
    """What was decided on a pair: `as_of` and `valid_until` are RFC 3339 in UTC, which sort as text."""

    decision_id: str
    bot_id: str
    pair: str
    as_of: str
    valid_until: str
    action: str
    size_pct: float
    stop_loss: float | None
    take_profit: float | None


def plain(pair: str) -> str:
    """`BTC/USDT` and `BTCUSDT` are one market."""
    return "".join(filter(str.isalnum, pair.upper()))


class Store:
    """The file; one process writes, any number read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, decision: Mapping[str, Any]) -> bool:
        """Keep a decision, as it came, where it acts; whether it does. The same one again changes nothing."""
        if decision.get("status") != "DECIDED" or decision["action"] == "HOLD":
            return False
        row = {**decision, "pair": plain(decision["symbol"])}
        with closing(sqlite3.connect(self._file, timeout=WRITE_S_MAX)) as opened, opened:
            opened.execute("PRAGMA journal_mode=WAL")
            opened.executescript(TABLE)
            opened.execute(
                f"INSERT OR IGNORE INTO decisions VALUES ({', '.join('?' * len(Decided._fields))})",
                [row[name] for name in Decided._fields],
            )
        return True

    def between(self, bot_id: str, pair: str, first: str, last: str) -> list[Decided]:
        """This bot's on this pair from one `as_of` to another, both included, oldest first; none where the file is busy."""
        where = "WHERE bot_id = ? AND pair = ? AND as_of BETWEEN ? AND ? ORDER BY as_of, decision_id"
        return list(self._read(where, bot_id, plain(pair), first, last))

    def one(self, decision_id: str) -> Decided | None:
        """The decision of this id, where it is there and can be read now."""
        return next(self._read("WHERE decision_id = ?", decision_id), None)

    def _read(self, where: str, *values: str) -> Iterator[Decided]:
        try:
            with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=READ_S_MAX)) as opened:
                yield from map(Decided._make, opened.execute(f"SELECT * FROM decisions {where}", values).fetchall())
        except sqlite3.OperationalError:
            return
