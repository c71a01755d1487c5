"""The names of the pipeline's headers, and what of a bot's own headers goes on."""

from __future__ import annotations

from typing import Final

from schemas.record import Headers
from schemas.size import HEADER_OVERHEAD_BYTES, PASSED_ON_BYTES_MAX
from schemas.topic import Side

SRC: Final = "src"
CONTEXT_ID: Final = "context-id"
ROUTE: Final = "route"
FAILED: Final = "failed"
REASON: Final = "reason"
DETAIL: Final = "detail"
RUN_ID: Final = "run-id"
ORIGIN: Final = "origin"
TRUNCATED: Final = "truncated"
LENGTH: Final = "length"
SHA256: Final = "sha256"
REDRIVE_OF: Final = "redrive-of"
TRACEPARENT: Final = "traceparent"
CONTENT_TYPE: Final = "content-type"
SCHEMA: Final = "schema"

JSON_CONTENT: Final = b"application/json"
CONTEXT_SCHEMA: Final = b"context/1"
DECISION_SCHEMA: Final = b"decision/1"
MODEL_STATUS_SCHEMA: Final = b"model-status/1"

_OURS: Final = (SRC, CONTEXT_ID, ROUTE, FAILED, REASON, DETAIL, TRUNCATED, LENGTH, SHA256, CONTENT_TYPE, SCHEMA)
RESERVED: Final = frozenset((*_OURS, RUN_ID, ORIGIN, REDRIVE_OF, TRACEPARENT))
KEPT: Final = frozenset((TRACEPARENT, REDRIVE_OF))
KEPT_OF: Final = {Side.LIVE: KEPT, Side.REPLAYS: KEPT | {RUN_ID, ORIGIN}}

# The longest of these that means anything is an `origin`: a topic of 249 characters, two numbers and a time.
KEPT_BYTES_MAX: Final = 512


def header(headers: Headers, name: str) -> bytes | None:
    """The header's value, or None; where it is there more than once, the last one counts."""
    for own, value in reversed(headers):
        if own == name:
            return value
    return None


def header_text(headers: Headers, name: str) -> str | None:
    """The header's value as text, or None; what is not UTF-8 in it is replaced."""
    value = header(headers, name)
    return None if value is None else value.decode("utf-8", "replace")


def passed_on(headers: Headers, side: Side = Side.LIVE) -> Headers:
    """What goes on to an output: the kept reserved ones (the last of each), then the bot's own up to 16 KiB.

    The bot's first header that no longer fits is dropped, and all after it.
    """
    kept = KEPT_OF[side]
    reserved: dict[str, bytes] = {}
    own: list[tuple[str, bytes]] = []
    room = PASSED_ON_BYTES_MAX
    for name, value in headers:
        if name in kept and len(value) <= KEPT_BYTES_MAX:
            reserved[name] = value
        elif name not in RESERVED and room >= 0:
            room -= len(name.encode("utf-8", "replace")) + len(value) + HEADER_OVERHEAD_BYTES
            if room >= 0:
                own.append((name, value))
    return (*reserved.items(), *own)
