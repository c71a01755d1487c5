"""On which line of a TOML text something stands: the parser of the standard library does not say."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

Path = Sequence[str | int]

LINES_MAX: Final = 1_000  # in a longer text no line is said: each look parses the text's beginning again


def line_of(text: str, path: Path) -> int | None:
    """The line, from 1, of the statement that first says something of `path`, or else of the nearest table above it.

    None where nothing of it is there. No scanner of our own: the statement starts on the first line that the text
    cannot be cut before without losing what lies at `path`.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > LINES_MAX:
        return None
    for depth in range(len(path), 0, -1):
        if _holds(lines, len(lines), path[:depth]):
            return _first_line(lines, path[:depth])
    return None


def _first_line(lines: list[str], path: Path) -> int:
    return bisect_left(range(len(lines)), True, key=lambda count: _holds(lines, count, path))


def _holds(lines: list[str], count: int, path: Path) -> bool:
    """Whether the first `count` lines, and whatever the last statement in them needs beyond, say something of `path`."""
    for end in range(count, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:  # in the middle of a list or a text of several lines
            continue
        return _reaches(table, path)
    return False


def _reaches(value: Any, path: Path) -> bool:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
