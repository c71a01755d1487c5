"""Record batches as aiokafka reads them, except that a header's name need not be UTF-8.

Kafka's clients in other languages write any bytes as a header's name. aiokafka's decoder raises on them, at the same record
again and again, so that one record of one bot would end every router. Here such a name is read with U+FFFD in place of what
is no UTF-8; nothing else of the record changes. `install` puts it into the library, once a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

MAGIC_WITH_HEADERS = 2


class _Bytes(bytearray):
    """A buffer whose slices decode whatever they hold."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Bytes(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")


class _LenientBatch(_DefaultRecordBatchPy):
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Batch:
    """The library's fast batch; where it cannot read a header's name, the records come from the lenient one."""

    def __init__(self, fast: Any, raw: memoryview) -> None:
        self._fast, self._raw = fast, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fast, name)

    def __next__(self) -> Any:
        return next(self._fast)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._fast
        except (UnicodeDecodeError, CorruptRecordException):  # the second where the library runs without its extensions
            # From the beginning again: the fetcher passes over the offsets that it has had.
            yield from _LenientBatch(self._raw)


class _Records(_MemoryRecordsPy):
    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return batch if batch is None or batch.magic < MAGIC_WITH_HEADERS else _Batch(batch, raw)


def install() -> None:
    """Read header names leniently in every consumer of this process."""
    fetcher.MemoryRecords = _Records
