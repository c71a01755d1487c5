"""How a model's attempts ended lately, counted by the second."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from deciders.endings import BROKEN, Kind

# Long enough that ten attempts fall into it at one in three seconds, short enough that half a minute heals.
WINDOW_MS: Final = 30_000
BUCKET_MS: Final = 1_000


class Tally:
    """The attempts of the last 30 s, and how many broke in a row up to now."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, Counter[Kind]]] = deque()
        self.counts: Counter[Kind] = Counter()
        self.broken_in_a_row = 0

    @property
    def attempts(self) -> int:
        """How many ended."""
        return self.counts.total()

    @property
    def broken(self) -> int:
        """How many gave nothing: the model failed, or let the question's time run out."""
        return sum(count for kind, count in self.counts.items() if breaks(kind))

    def add(self, kind: Kind, now_ms: int) -> None:
        """One more ended so."""
        self.forget(now_ms)
        second = now_ms // BUCKET_MS
        if not self._buckets or self._buckets[-1][0] != second:
            self._buckets.append((second, Counter()))
        self._buckets[-1][1][kind] += 1
        self.counts[kind] += 1
        self.broken_in_a_row = self.broken_in_a_row + 1 if breaks(kind) else 0

    def forget(self, now_ms: int) -> None:
        """Leave out what is older than the window."""
        oldest = (now_ms - WINDOW_MS) // BUCKET_MS
        while self._buckets and self._buckets[0][0] < oldest:
            self.counts -= self._buckets.popleft()[1]
        if not self._buckets:
            self.broken_in_a_row = 0

    def __str__(self) -> str:
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(self.counts.items()))
        return f"of {self.attempts} attempts in {WINDOW_MS // 1000} s {told}"


def breaks(kind: Kind) -> bool:
    """Whether such an attempt speaks against the model; a bad answer does not: whoever gives one is alive."""
    return kind == "late" or kind in BROKEN
