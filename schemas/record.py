"""What is read from a topic and what is written to one, free of any client library."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.source import Source

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read; `source` is where it lies, `timestamp_ms` the log's append time (epoch ms).

    `tombstone`: its value was null, which reads as empty here.
    """

    source: Source
    key: bytes | None
    value: bytes
    headers: Headers
    timestamp_ms: int
    tombstone: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """One record to write; it becomes visible only together with the offset of what caused it."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers
    tombstone: bool = False  # write null for a value
