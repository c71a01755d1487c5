"""Whether what a reader saw is the beginning of the log, as it must be of a log that only grows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from schemas.record import Record

Place = tuple[str, int]  # topic, partition


def rewritten(seen: Iterable[Record], final: Iterable[Record], starts: Mapping[Place, int]) -> Iterator[str]:
    """For each partition the first record that was seen and does not stand so in the final log.

    Both are in the order of their partitions. What lies below a log's start was deleted since, and is no difference.
    """
    logs = _by_place(final)
    for place, records in _by_place(seen).items():
        kept = [record for record in records if record.source.offset >= starts.get(place, 0)]
        yield from _first_difference(kept, logs.get(place, []))


def _first_difference(seen: Sequence[Record], final: Sequence[Record]) -> Iterator[str]:
    for number, record in enumerate(seen):
        if number >= len(final):
            yield f"{record.source} was seen, and the log ends before it"
            return
        if record != final[number]:
            there = "another record" if final[number].source == record.source else str(final[number].source)
            yield f"{record.source} was seen, and in its place is {there}"
            return


def _by_place(records: Iterable[Record]) -> dict[Place, list[Record]]:
    found: dict[Place, list[Record]] = defaultdict(list)
    for record in records:
        found[record.source.topic, record.source.partition].append(record)
    return found
