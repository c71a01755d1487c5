"""The one way to write JSON, digests and moments, so that equal things have equal bytes."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # of the years 1 to 9999: what can be written again
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)

# Made once: `json.dumps` would make another for every value.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: object) -> bytes:
    """The value as JSON with sorted keys, no spaces, in UTF-8; ValueError for NaN, infinity and broken surrogates."""
    return _CANONICAL.encode(value).encode("utf-8")


def digest(data: bytes) -> str:
    """The sha256 of these bytes, in 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def rfc3339(epoch_ms: int) -> str:
    """An instant as `2026-01-31T12:00:00.000Z`: UTC, milliseconds. OverflowError outside the years 1 to 9999."""
    second, ms = divmod(epoch_ms, 1000)
    return f"{_to_the_second(second)}.{ms:03d}Z"


@lru_cache(maxsize=256)
def _to_the_second(epoch_s: int) -> str:
    # Remembered, because the moments of live contexts lie within the same few seconds.
    return (_EPOCH + timedelta(seconds=epoch_s)).replace(tzinfo=None).isoformat()


@lru_cache(maxsize=256)
def parse_rfc3339(text: str) -> int:
    """The instant in epoch milliseconds (finer parts are cut off); ValueError, naming the form, for anything else."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("must be RFC 3339 with an offset, such as 2026-01-31T12:00:00.000Z")
    day, time, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}+00:00")
    except ValueError as error:
        raise ValueError(f"is no date and time: {error}") from None
    if sign and (int(hours) > 23 or int(minutes) > 59):
        raise ValueError("has an offset beyond 23:59")
    epoch_ms = (moment - _EPOCH) // timedelta(milliseconds=1) + int(((fraction or "") + "000")[:3])
    epoch_ms -= int(f"{sign}{int(hours) * 60 + int(minutes)}") * 60_000 if sign else 0
    if not _FIRST_MS <= epoch_ms <= _LAST_MS:
        raise ValueError("lies outside the years 1 to 9999 once it is in UTC")
    return epoch_ms
