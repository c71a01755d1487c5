"""Contexts without their market and their time, so that a model cannot answer from what it remembers of them. Pure.

Symbols become pseudonyms, moments keep their distances and move to another year. Prices stay as they are, and so do the money
they are in and what the news tells: a model that knows a chart or a story by heart may know them, and no masking of words helps.
What goes by a symbol (a policy's limits, a router's rule) sees the pseudonym.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from deciders.quoting import clean_text
from replay.dates import is_moment, undated
from replay.names import naming
from schemas.canonical import canonical_json, digest, parse_rfc3339, rfc3339
from schemas.market import EPOCH_MS_MIN, YEAR_MS, instant_ms
from schemas.record import Record

ANCHOR_MS: Final = 315_532_800_000  # 1980-01-01T00:00:00Z is the `as_of` of every masked context
NEAR_MS: Final = 3 * YEAR_MS  # a whole number so near to `as_of` is taken for a moment; others are amounts
LATE_MS: Final = 4_102_444_800_000  # 2100: a number whose key calls it a moment, from EPOCH_MS_MIN to here, is one
PER_MS: Final = (1, 0.001, 1_000, 1_000_000)  # moments are told in ms, s, µs and ns


def pseudonym(symbol: str) -> str:
    """What stands for this symbol: always the same, so that an answer to a masked prompt is found again."""
    return f"ASSET-{int(digest(symbol.encode())[:12], 16) % 10**6:06d}"  # digits: letters could spell a symbol


def masked(record: Record) -> Record:
    """The same context without its market and its time. One that is no JSON object stays as it is: no model is asked about it."""
    try:
        body = json.loads(record.value)
        symbol, context = body["symbol"], body["context"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return record
    if not (isinstance(body, dict) and isinstance(symbol, str) and isinstance(context, dict)):
        return record
    mask = _Mask(as_of_of(record), naming(symbol), pseudonym(symbol))
    told = {"symbol": pseudonym(symbol), "as_of": rfc3339(ANCHOR_MS), "context": mask.context(context)}
    return replace(record, value=canonical_json(body | told))


def as_of_of(record: Record) -> int:
    """The moment that a context describes, epoch ms: when the log took it where it does not say, or says no moment."""
    try:
        return instant_ms(json.loads(record.value)["as_of"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return record.timestamp_ms


class _Mask:
    """The masking of one context."""

    def __init__(self, as_of_ms: int, named: re.Pattern[str], name: str) -> None:
        self._as_of_ms, self._named, self._name = as_of_ms, named, name
        self._shift_ms = ANCHOR_MS - as_of_ms

    def context(self, context: dict[str, Any]) -> dict[str, Any]:
        out = self.value(context)
        for name in ("price", "volume"):  # numbers by name, however large
            if name in context:
                out[name] = context[name]
        if isinstance(candles := context.get("candles"), list):
            out["candles"] = [self._candle(each) for each in candles]
        return dict(out)

    def value(self, value: Any, key: str = "") -> Any:
        """Any JSON value, at any depth; `key`: what it is called, its list's name for one of a list."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self._keyed((self._text(name), self.value(item, name)) for name, item in value.items())
        if isinstance(value, list):
            return [self.value(each, key) for each in value]
        return self._number(value, key) if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _candle(self, candle: Any) -> Any:
        if isinstance(candle, list) and candle and isinstance(candle[0], int):
            return [candle[0] + self._shift_ms, *candle[1:]]
        if isinstance(candle, dict) and isinstance(candle.get("t"), int):
            return candle | {"t": candle["t"] + self._shift_ms}
        return candle  # it is refused as what it is

    def _number(self, number: float, key: str) -> float:
        called = is_moment(key)
        for per_ms in PER_MS:
            at_ms = number / per_ms
            if EPOCH_MS_MIN <= at_ms < LATE_MS and (called or (number == int(number) and abs(at_ms - self._as_of_ms) < NEAR_MS)):
                return number + (self._shift_ms // 1_000 if per_ms < 1 else self._shift_ms * int(per_ms))
        return number

    def _text(self, text: str) -> str:
        try:
            return rfc3339(parse_rfc3339(text) + self._shift_ms)
        except (ValueError, OverflowError):
            # As the prompt will have it: a sign that nobody sees would hide a name from the mask alone.
            return self._named.sub(self._name, undated(clean_text(text)))

    @staticmethod
    def _keyed(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """No key takes another one's place because both read alike now."""
        out: dict[str, Any] = {}
        for key, item in items:
            name, number = key, 2
            while name in out:
                name, number = f"{key} {number}", number + 1
            out[name] = item
        return out
