"""The contexts that are judged, each with its case, and which of them have the same name. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from schemas.record import Record
from schemas.source import Source
from trading_llm.case import Case
from trading_llm.evidence import Context, of_context


class Docket:
    """Every context, entered once, before anything that answers it is heard. About 1 KB a context."""

    def __init__(self) -> None:
        self._cases: dict[Source, Case] = {}
        self._ranks: Counter[int] = Counter()
        self._first: dict[bytes, Source] = {}  # by partition and name
        self._again: dict[bytes, list[Source]] = {}  # what came under that name afterwards

    def enter(self, record: Record) -> None:
        """Take in a record of `contexts`."""
        context, partition = of_context(record), record.source.partition
        self._cases[record.source] = Case(context, self._ranks[partition])
        if context.name is not None:
            self._ranks[partition] += 1
            name = _in_partition(context, record.source)
            if self._first.setdefault(name, record.source) != record.source:
                self._again.setdefault(name, []).append(record.source)

    def __len__(self) -> int:
        return len(self._cases)

    def __contains__(self, src: Source) -> bool:
        return src in self._cases

    def __getitem__(self, src: Source) -> Case:
        return self._cases[src]

    def cases(self) -> Iterator[tuple[Source, Case]]:
        """Every case with where its context lies."""
        return iter(self._cases.items())

    @property
    def names(self) -> int:
        """How many names there are, counted in each partition."""
        return len(self._first)

    def repeated(self) -> Iterator[list[tuple[Source, Case]]]:
        """The contexts of each name that has more than one, or whose one is a repeat of nothing."""
        for name, first in self._first.items():
            again = self._again.get(name, ())
            if again or any(outcome.reason is not None for outcome in self._cases[first].outcomes):
                yield [(src, self._cases[src]) for src in (first, *again)]


def _in_partition(context: Context, src: Source) -> bytes:
    return blake2b((context.name or b"") + src.partition.to_bytes(4, "big"), digest_size=16).digest()
