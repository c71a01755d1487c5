"""The dead letter: a record that nobody can decide, kept as it came, with the reason."""

from __future__ import annotations

from schemas import headers as names
from schemas.canonical import digest
from schemas.origin import default_context_id
from schemas.record import Headers, Output, Record
from schemas.refusal import Reason as Reason
from schemas.size import CUT_VALUE_BYTES, DETAIL_CHARACTERS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX, clip
from schemas.source import Source
from schemas.topic import Side


def dead_letter_output(record: Record, src: Source, reason: Reason, detail: str, context_id: str | None = None) -> Output:
    """The record of `contexts.dlq` that answers `src`: the bytes as they came where they fit, else their beginning.

    `context_id` is the question's where it is known; a record of `contexts` without a known one is given the default.
    """
    side = Side.of(src.topic)
    own_id = context_id or (default_context_id(record) if record.source == src else None)
    named = () if own_id is None else ((names.CONTEXT_ID, own_id.encode()),)
    own = (
        (names.SRC, str(src).encode()),
        *named,
        (names.REASON, reason.value.encode()),
        (names.DETAIL, clip(detail, DETAIL_CHARACTERS_MAX).encode()),
        (names.CONTENT_TYPE, names.JSON_CONTENT),
        (names.SCHEMA, names.CONTEXT_SCHEMA),
    )
    value, cut = _kept(record.value)
    key = record.key if record.key is not None and len(record.key) <= KEY_BYTES_MAX else None
    headers = own + cut + names.passed_on(record.headers, side)
    return Output(side.dead_letters, key, value, headers, record.tombstone)


def _kept(value: bytes) -> tuple[bytes, Headers]:
    if len(value) <= VALUE_BYTES_MAX:
        return value, ()
    cut = (
        (names.TRUNCATED, b"true"),
        (names.LENGTH, str(len(value)).encode()),
        (names.SHA256, digest(value).encode()),
    )
    return value[:CUT_VALUE_BYTES], cut
