"""Where a question first stood and when the log took it: a replayed record is dated by its original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas import headers as names
from schemas.record import Record
from schemas.source import Source
from schemas.topic import is_replay

EPOCH_MS_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class Origin:
    """A record of `contexts` and its log time; written `contexts/3/17@1700000000000`."""

    src: Source
    timestamp_ms: int

    def __str__(self) -> str:
        return f"{self.src}@{self.timestamp_ms}"

    @classmethod
    def parse(cls, text: str) -> Origin:
        """The origin that `text` names; ValueError, naming the form, where it names none."""
        place, _, moment = text.rpartition("@")
        if not (moment.isascii() and moment.isdecimal()) or len(moment) > EPOCH_MS_DIGITS_MAX:
            raise ValueError(f"{text[:80]!r} is not topic/partition/offset@milliseconds")
        return cls(Source.parse(place), int(moment))


def origin_of(record: Record) -> Origin:
    """Where this record's question first stood: the record itself, or in a replay what its `origin` header names."""
    text = names.header_text(record.headers, names.ORIGIN) if is_replay(record.source.topic) else None
    if text is not None:
        try:
            return Origin.parse(text)
        except ValueError:
            pass  # a broken header is as good as none: the record stands for itself
    return Origin(record.source, record.timestamp_ms)


def run_id_of(record: Record) -> str | None:
    """The replay that a record belongs to: None for live ones, empty where a replayed one does not say."""
    return (names.header_text(record.headers, names.RUN_ID) or "") if is_replay(record.source.topic) else None


def default_context_id(record: Record) -> str:
    """The id of a question that brought none: `src@timestamp_ms` of its first record."""
    return str(origin_of(record))
