"""On which line of a TOML text something stands: the parser of the standard library does not say."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

Path = Sequence[str | int]

LINES_MAX: Final = 1_000  # in a longer text no line is said
# Nor in one with a longer statement, each line of which is parsed again with every one that follows. No list of a policy holds
# more than 32 names; 64 KiB in lists of 50 lines are 1.6 MB of parsing, 4 s.
STATEMENT_LINES_MAX: Final = 50


class Lines:
    """The lines of one sound TOML text, which ends in at most `LINES_MAX` of them.

    No scanner of our own, and bounded work: each line is once the last of a text that is parsed to see whether a statement ends
    there, and a beginning of whole statements is parsed once, however many paths are asked for.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._ends = _statement_ends(self._lines)
        self._tables: dict[int, Any] = {}

    def of(self, path: Path) -> int | None:
        """The line, from 1, of the statement that first says something of `path`, or else of the nearest table above it.

        None where nothing of it is there.
        """
        for depth in range(len(path), 0, -1):
            if self._ends and _reaches(self._table(len(self._ends)), path[:depth]):
                return self._first_line(path[:depth])
        return None

    def _first_line(self, path: Path) -> int:
        counts = range(len(self._ends) + 1)
        statements = bisect_left(counts, True, key=lambda count: _reaches(self._table(count), path))
        return self._ends[statements - 2] + 1 if statements > 1 else 1

    def _table(self, statements: int) -> Any:
        """What the first so many statements say."""
        if statements not in self._tables:
            end = self._ends[statements - 1] if statements else 0
            self._tables[statements] = tomllib.loads("\n".join(self._lines[:end]))
        return self._tables[statements]


def _statement_ends(lines: list[str]) -> list[int]:
    """How many lines lie up to the end of each statement; a blank line is one. Empty where no line shall be said."""
    ends: list[int] = []
    first = 0
    for end in range(1, len(lines) + 1 if len(lines) <= LINES_MAX else 1):
        if end - first > STATEMENT_LINES_MAX:
            return []
        try:
            tomllib.loads("\n".join(lines[first:end]))
        except tomllib.TOMLDecodeError:  # in the middle of a list or a text of several lines
            continue
        ends.append(end)
        first = end
    return ends


def _reaches(value: Any, path: Path) -> bool:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
