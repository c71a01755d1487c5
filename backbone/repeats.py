"""What a library says again and again, written once in a while."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

EVERY_S = 5.0  # a dozen lines a minute show that it goes on, and leave room for all else


class Repeats(logging.Filter):
    """Lets what a library says again and again through once in `every_s` seconds, with how often it was said meanwhile.

    A dozen clients that look for a broker that is away would fill the log, and hide what else happens.
    """

    def __init__(self, library: str, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._library, self._every_s, self._clock = logging.Filter(library), every_s, clock
        self._said_s: dict[str, float] = {}  # by the text without arguments: a library has only so many
        self._unsaid: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; told apart by what it says with its arguments left out."""
        if not self._library.filter(record):
            return True
        now_s, said = self._clock(), str(record.msg)
        if now_s - self._said_s.get(said, -self._every_s) < self._every_s:
            self._unsaid[said] += 1
            return False
        self._said_s[said] = now_s
        if unsaid := self._unsaid.pop(said, 0):
            record.msg, record.args = f"{record.getMessage()} (and {unsaid} times more before)", ()
        return True
