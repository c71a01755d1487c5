"""The few questions by which a model that was out is tried again."""

from __future__ import annotations

from typing import Final

# Two at a time: one that hangs must not hide that the other is answered, and more would be a load.
PROBES_MAX: Final = 2
GOOD_MIN: Final = 3  # answers before it is asked as ever: one may be luck


class Probes:
    """Which probes are out, by the source of their context, and how many were answered."""

    def __init__(self, given_up_ms: int) -> None:
        self._given_up_ms = given_up_ms
        self._sent_ms: dict[str, int] = {}
        self.good = 0

    @property
    def left(self) -> int:
        """How many more may go out now."""
        return max(0, PROBES_MAX - len(self._sent_ms))

    @property
    def out(self) -> int:
        """How many have not come back."""
        return len(self._sent_ms)

    @property
    def passed(self) -> bool:
        """Whether enough were answered."""
        return self.good >= GOOD_MIN

    def begin(self) -> None:
        """A new trial; what is still out from an earlier one goes on counting as out."""
        self.good = 0

    def sent(self, src: str, now_ms: int) -> None:
        """This one went out."""
        self._sent_ms[src] = now_ms

    def back(self, src: str) -> None:
        """The context of this source has its outcome, whatever it is and whoever gave it."""
        self._sent_ms.pop(src, None)

    def overdue(self, now_ms: int) -> int:
        """How many are given up now."""
        over = [src for src, sent_ms in self._sent_ms.items() if now_ms - sent_ms > self._given_up_ms]
        for src in over:
            del self._sent_ms[src]
        return len(over)
