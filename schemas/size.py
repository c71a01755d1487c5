"""How large things may be: every output of the pipeline fits a Kafka record because these hold.

A value has at most 256 KiB, the headers together at most 64 KiB, a key at most 4 KiB. Texts are cut by what they take
once written as JSON, because a control character takes six bytes there.
"""

from __future__ import annotations

import json

from schemas.record import Headers

VALUE_BYTES_MAX = 256 * 1024
HEADERS_BYTES_MAX = 64 * 1024
KEY_BYTES_MAX = 4 * 1024
PASSED_ON_BYTES_MAX = 16 * 1024  # a bot's own headers, names and lengths included
CUT_VALUE_BYTES = 64 * 1024  # what a dead letter keeps of a value that does not fit

CONTEXT_BYTES_MAX = 64 * 1024  # of the field `context`, in compact JSON
CONTEXT_LEVELS_MAX = 8  # `context` itself is the first

RATIONALE_CHARACTERS_MAX = 280
GENERATION_BYTES_MAX = 16 * 1024
FAILED_TEXT_BYTES_MAX = 2 * 1024
FAILED_MAX = 3
ATTEMPTS_MAX = 16
CANDIDATES_MAX = 32
CLAMPS_MAX = 16
TRIMMED_MAX = 32
DETAIL_CHARACTERS_MAX = 500
NAME_CHARACTERS_MAX = 128  # names, versions, digests and the like inside a decision

# A header costs a length before its name and one before its value (varints of at most 5 bytes, mostly 2).
HEADER_OVERHEAD_BYTES = 8


def headers_bytes(headers: Headers) -> int:
    """What these headers take in a record, counted generously."""
    return sum(len(name.encode("utf-8", "replace")) + len(value) + HEADER_OVERHEAD_BYTES for name, value in headers)


def readable(text: str) -> str:
    """The text without what UTF-8 cannot hold: half a surrogate pair becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def clip(text: str, characters_max: int) -> str:
    """The beginning of a text, with an ellipsis where something was cut."""
    text = readable(text)
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def clip_bytes(text: str, bytes_max: int) -> str:
    """The longest beginning of a text that takes at most `bytes_max` bytes as UTF-8."""
    raw = text.encode("utf-8", "replace")
    return raw.decode("utf-8") if len(raw) <= bytes_max else raw[:bytes_max].decode("utf-8", "ignore")


def clip_json(text: str, bytes_max: int) -> str:
    """A beginning of a text that takes at most `bytes_max` bytes between the quotes of a JSON string."""
    text = clip_bytes(text, bytes_max)
    if _json_bytes(text) <= bytes_max:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _json_bytes(text[:middle]) <= bytes_max else (low, middle - 1)
    return text[:low]


def _json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8")) - 2
