"""The newest outcomes, found by their source and by their names; the oldest go where they would be too many."""

from __future__ import annotations

from collections import OrderedDict

from gateway.intake import Ids
from gateway.outcome import Answered, Dead, Outcome
from schemas.source import Source

OUTCOMES_MAX = 20_000  # as many ids as a partition's dedupe remembers
BYTES_MAX = 64 << 20  # decisions of usual size, some 3 KiB, and an end to large ones
_OVERHEAD_BYTES = 512


class Seen:
    """A bounded memory of outcomes. A name keeps its first decision: later records of it are no decisions."""

    def __init__(self, outcomes_max: int = OUTCOMES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._outcomes_max, self._bytes_max = outcomes_max, bytes_max
        self._by_source: OrderedDict[Source, Outcome] = OrderedDict()
        self._by_ids: dict[Ids, Source] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._by_source)

    def add(self, outcome: Outcome) -> None:
        """Remember an outcome; one that is known already changes nothing."""
        if outcome.src in self._by_source:
            return
        self._by_source[outcome.src] = outcome
        self._bytes += _bytes_of(outcome)
        if isinstance(outcome, Answered):
            self._by_ids.setdefault(outcome.ids, outcome.src)
        while len(self._by_source) > self._outcomes_max or self._bytes > self._bytes_max:
            self._forget_oldest()

    def of(self, src: Source) -> Outcome | None:
        """The outcome of this record of `contexts`, if it was seen."""
        return self._by_source.get(src)

    def named(self, ids: Ids) -> Answered | None:
        """The decision of this bot, symbol and context_id, if it was seen."""
        src = self._by_ids.get(ids)
        found = None if src is None else self._by_source.get(src)
        return found if isinstance(found, Answered) else None

    def _forget_oldest(self) -> None:
        src, outcome = self._by_source.popitem(last=False)
        self._bytes -= _bytes_of(outcome)
        if isinstance(outcome, Answered) and self._by_ids.get(outcome.ids) == src:
            del self._by_ids[outcome.ids]


def _bytes_of(outcome: Outcome) -> int:
    return _OVERHEAD_BYTES + len(outcome.detail if isinstance(outcome, Dead) else outcome.value)
