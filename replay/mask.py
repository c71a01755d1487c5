"""Contexts without their market and their time, so that a model cannot answer from what it remembers of them. Pure.

Symbols become pseudonyms, moments keep their distances and move to another year. Prices stay as they are: a model that knows a
chart by heart may know this one by them, and no masking of words can help that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from deciders.quoting import clean_text
from schemas.canonical import canonical_json, digest, parse_rfc3339, rfc3339
from schemas.market import EPOCH_MS_MIN, YEAR_MS, instant_ms
from schemas.record import Record

ANCHOR_MS: Final = 315_532_800_000  # 1980-01-01T00:00:00Z is the `as_of` of every masked context
NEAR_MS: Final = 3 * YEAR_MS  # a whole number so near to `as_of`, in ms or in s, is taken for a moment; others are amounts
MONEY: Final = ("USDT", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", "USD", "EUR", "GBP", "JPY", "TRY", "KRW", "PERP")
# What people call what is traded, beside its ticker.
NAMES: Final = {
    "BTC": ("bitcoin", "xbt", "satoshi"), "ETH": ("ethereum", "ether"), "LTC": ("litecoin",), "ADA": ("cardano",),
    "XRP": ("ripple",), "SOL": ("solana",), "BNB": ("binance coin",), "DOGE": ("dogecoin",), "DOT": ("polkadot",),
    "AVAX": ("avalanche",), "LINK": ("chainlink",), "TRX": ("tron",), "MATIC": ("polygon",), "XBT": ("bitcoin", "btc"),
    "AAPL": ("apple",), "MSFT": ("microsoft",), "TSLA": ("tesla",), "AMZN": ("amazon",), "NVDA": ("nvidia",), "GOLD": ("xau",),
}  # fmt: skip
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PLAIN_WORDS: Final = ("may", "march")  # months that are other words, too, unless they are written large
DATE: Final = "[date]"
SPELLED_MIN: Final = 3  # letters: a shorter part is in half of all words
# What a quoted text may not be trusted to hold is replaced where it stands; the order is that of the longest first.
_MONTH: Final = "|".join([*MONTHS, *(each[:3] for each in MONTHS), "sept"])
_DATES: Final = re.compile(
    rf"""(?xi)
    (?<!\d)\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[t\ ]\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?\ ?(?:z|utc|[+-]\d{{2}}:?\d{{2}})?)?
    | (?<!\d)\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})(?!\d) | (?<![\d.])\d{{1,2}}/\d{{1,2}}(?![\d.])
    | \b\d{{1,2}}(?:st|nd|rd|th)?[\ -](?:of\ )?(?:{_MONTH})\b\.?(?:[,\ -]*\d{{4}})?
    | \b(?:{_MONTH})\b\.?[\ -]\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\ \d{{4}})?
    | (?<!\d)(?:19|20)\d{{6}}(?!\d) | (?<!\d)\d{{10}}(?!\d) | (?<!\d)\d{{13}}(?!\d)
    | (?:\b(?:q[1-4]|h[12]|fy)[\ ']*)?(?<!\d)(?:19|20)\d{{2}}(?!\d) | \b(?:q[1-4]|h[12])\b | \bfy'?\d{{2}}\b | (?<!\w)'\d{{2}}\b
    | \b\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:\ ?(?:utc|gmt|am|pm|est|edt|cet))?\b
    """
)
_WORDS: Final = re.compile(rf"(?i)\b(?:{'|'.join(each for each in (*MONTHS, *DAYS) if each not in PLAIN_WORDS)})\b")
_LARGE: Final = re.compile(
    r"\b(?:May|MAY|March|MARCH|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri)\b\.?)"
)


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
    mask = _Mask(as_of_of(record), _named(symbol), pseudonym(symbol))
    told = {"symbol": pseudonym(symbol), "as_of": rfc3339(ANCHOR_MS), "context": mask.context(context)}
    return replace(record, value=canonical_json(body | told))


def as_of_of(record: Record) -> int:
    """The moment that a context describes, epoch ms: when the log took it where it does not say, or says no moment."""
    try:
        return instant_ms(json.loads(record.value)["as_of"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return record.timestamp_ms


def parts_of(symbol: str) -> tuple[str, ...]:
    """What is traded: the symbol's words, without the money that it is paid in; of two kinds of money the first."""
    first, *others = [each for each in re.split(r"[^A-Za-z0-9]+", symbol.upper()) if each] or [""]
    traded = next((first.removesuffix(each) for each in MONEY if first.endswith(each) and first != each), first)
    rest = (next((each.removesuffix(name) for name in MONEY if each.endswith(name)), each) for each in others)
    return tuple(dict.fromkeys(filter(None, (traded, *rest))))


def _named(symbol: str) -> re.Pattern[str]:
    """Every form of a symbol in a text: with signs between and without, its parts and what people call them, inside words."""
    signs, money = r"[^A-Za-z0-9]?", "|".join(MONEY)
    whole = [signs.join(re.escape(each) for each in symbol if each.isalnum())]
    inside = []
    for part in parts_of(symbol):
        for name in (part, *NAMES.get(part, ())):
            whole.append(rf"{re.escape(name)}(?:{signs}(?:{money}))*s?")
        if len(part) >= SPELLED_MIN:
            whole.append(r"[ ._\-]".join(part))
            inside.append(rf"[A-Za-z0-9]*(?-i:{re.escape(part)})[A-Za-z0-9]*")  # tBTCUSD, BTCDOM: written large
    return re.compile(rf"(?i)(?<![A-Za-z0-9])(?:{'|'.join([*whole, *inside])})(?![A-Za-z0-9])")


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

    def value(self, value: Any) -> Any:
        """Any JSON value, at any depth."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self._keyed((self._text(key), self.value(item)) for key, item in value.items())
        if isinstance(value, list):
            return [self.value(each) for each in value]
        return self._number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _candle(self, candle: Any) -> Any:
        if isinstance(candle, list) and candle and isinstance(candle[0], int):
            return [candle[0] + self._shift_ms, *candle[1:]]
        if isinstance(candle, dict) and isinstance(candle.get("t"), int):
            return candle | {"t": candle["t"] + self._shift_ms}
        return candle  # it is refused as what it is

    def _number(self, number: float) -> float:
        if number != int(number):
            return number
        if abs(number - self._as_of_ms) < NEAR_MS and number >= EPOCH_MS_MIN:
            return number + self._shift_ms
        if abs(number * 1000 - self._as_of_ms) < NEAR_MS and number * 1000 >= EPOCH_MS_MIN:
            return number + self._shift_ms // 1000
        return number

    def _text(self, text: str) -> str:
        try:
            return rfc3339(parse_rfc3339(text) + self._shift_ms)
        except (ValueError, OverflowError):
            plain = clean_text(text)  # as the prompt will have it: a sign that nobody sees would hide a name from the mask alone
            for pattern in (_DATES, _WORDS, _LARGE):
                plain = pattern.sub(DATE, plain)
            return self._named.sub(self._name, plain)

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
