"""What a masked prompt still tells of its market and time, by names and dates of its own: it knows nothing of the mask. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from deciders.features import compute_features
from deciders.prompt import render, sight_of, summary_text
from schemas import headers as names
from schemas.canonical import parse_rfc3339
from schemas.catalogue import Template
from schemas.context import read_context
from schemas.origin import Origin
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.refusal import DeadLettered, Rejected
from schemas.topic import Side

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
BARE_MIN, PART_MIN = 5, 3  # letters: shorter ones are in other words by chance
# Words for a time that are nothing else, wherever they stand. "may" and "march" count with a number beside them only.
CALENDAR: Final = (
    "january", "february", "april", "june", "july", "august", "september", "october", "november", "december",
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
CALLED: Final = {
    "btc": "bitcoin xbt", "xbt": "bitcoin btc", "eth": "ethereum ether", "ltc": "litecoin", "ada": "cardano", "xrp": "ripple",
    "sol": "solana", "doge": "dogecoin", "shib": "shiba", "dot": "polkadot", "avax": "avalanche", "link": "chainlink",
    "trx": "tron", "matic": "polygon", "bnb": "binance", "xmr": "monero", "uni": "uniswap", "pepe": "", "eur": "euro",
    "jpy": "yen", "gbp": "sterling", "aapl": "apple", "tsla": "tesla", "nvda": "nvidia", "msft": "microsoft",
    "amzn": "amazon", "xau": "gold",
}  # fmt: skip
_CALLED: Final = "|".join(CALLED)
# BTCUSDT, tBTCUSD, XXBTZUSD, 1000PEPEUSDT, ETHBTC, USDJPY
PAIR: Final = re.compile(rf"\d*[tx]?({_CALLED}|usd)[zx]?({_CALLED})?(?:[a-z]?usd[a-z]?)?(?:perp|swap)?")
PAID_IN: Final = re.compile(r"(?:usd[tc]?|[bt]usd|fdusd|eur|gbp|jpy|try|krw)?(?:perp|swap)?$")
LONG: Final = 6  # letters: so long a name is looked for inside words
SECONDS, MILLISECONDS = range(10**9, 4 * 10**9), range(10**12, 4 * 10**12)
OF_TIME: Final = re.compile(r"(?:at|time|ts|date|stamp)(?:ms|s)?$")


def told_by(hidden: Record, original: Record, templates: Iterable[Template], policy: Policy) -> tuple[str, ...]:
    """What the prompts of a masked context, in each of these templates, tell of the original. Nothing where no model is asked."""
    origin = Origin(hidden.source, hidden.timestamp_ms)
    headers = ((names.RUN_ID, b"masked"), (names.ORIGIN, str(origin).encode()))
    record = replace(hidden, source=replace(hidden.source, topic=Side.REPLAYS.contexts), headers=headers)
    try:
        question = resolve(read_context(record), record, policy)
        symbol = read_context(original).symbol
    except (DeadLettered, Rejected):
        return ()
    features = compute_features(question.event.context, policy.features)
    moments = frozenset(_moments(json.loads(original.value)))
    summary = summary_text(sight_of(question, features))  # our own words for numbers
    found = (
        leak
        for each in templates
        for leak in leaks(render(each, question, features).text, symbol, moments, f"{each.system} {each.user} {summary}")
    )
    return tuple(dict.fromkeys(found))


def leaks(text: str, symbol: str, moments_ms: Iterable[int], said: str = "") -> tuple[str, ...]:
    """What in a rendered prompt names this symbol, a part of it, or one of these moments; empty where nothing does.

    `said`: what every prompt says anyhow; a symbol that is one of its words is hidden in it. Numbers inside JSON are no years: a
    price of 2022 is none.
    """
    shown = unicodedata.normalize("NFKC", text)
    plain = shown.casefold()
    named = _of_symbol(shown, symbol, _words(said))
    dated = (f"the word {word}" for word in CALENDAR if word in plain)
    return tuple(dict.fromkeys([*named, *dated, *_of_moments(plain, moments_ms)]))


def _of_symbol(shown: str, symbol: str, said: frozenset[str]) -> Iterator[str]:
    plain, bare = shown.casefold(), re.sub(r"[^a-z0-9]", "", symbol.casefold())
    if len(bare) >= BARE_MIN and bare in re.sub(r"[^a-z0-9]", "", plain):
        yield f"the symbol {symbol}"
    words = _words(shown) - said
    for name in _names(symbol) - said:
        inside = len(name) >= LONG and name in plain
        large = len(name) >= PART_MIN and name.upper() in shown
        if inside or large or {name, f"{name}s"} & words:
            yield f"{name}, which is {symbol}"


def _names(symbol: str) -> frozenset[str]:
    """What this symbol may be called, in small letters."""
    first = re.split(r"[^a-z0-9]+", symbol.casefold())[0]
    traded = re.sub(r"^\d+", "", PAID_IN.sub("", first, count=1)) or first
    pair = PAIR.fullmatch(re.sub(r"[^a-z0-9]", "", symbol.casefold()))
    tickers = {each for each in pair.groups() if each in CALLED} if pair else {traded} & set(CALLED)
    called = {name for each in tickers for name in CALLED[each].split()}
    return frozenset(each for each in {traded} | tickers | called if len(each) > 1 and each.isalpha())


@lru_cache(maxsize=1_000)
def _words(text: str) -> frozenset[str]:
    """Words in small letters: those between signs and digits, and those that are written together as `isBtcUp`."""
    both = f"{text} {re.sub('(?<=[a-z0-9])(?=[A-Z])', ' ', text)}".casefold()
    return frozenset(re.findall("[a-z]+", both)) | frozenset(re.findall("[a-z0-9]+", both))


def _moments(value: Any, key: str = "") -> Iterator[int]:
    """Every moment that a context tells of, epoch ms: texts that are dates, candles' times, numbers that their keys call so."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _moments(item, name)
    elif isinstance(value, list):
        candle = key == "candles" and value and not isinstance(value[0], list | dict)
        for item in value[:1] if candle else value:
            yield from _moments(item, "t" if candle else key)
    elif isinstance(value, str):
        yield from _dated(value)
    elif isinstance(value, int | float) and (key == "t" or OF_TIME.search(key.casefold())):
        yield from (int(value * scale) for scale, units in ((1, MILLISECONDS), (1_000, SECONDS)) if int(value) in units)


def _dated(text: str) -> Iterator[int]:
    try:
        yield parse_rfc3339(text)
    except (ValueError, OverflowError):
        return


def _of_moments(plain: str, moments_ms: Iterable[int]) -> Iterator[str]:
    years = set()
    for moment_ms in moments_ms:
        years.add(datetime.fromtimestamp(moment_ms / 1000, UTC).year)
        yield from (f"the moment {form}" for form in _forms(moment_ms) if form in plain)
    for year in sorted(years):
        if re.search(rf"(?<![\d.,\[:]){year}(?![\d.,\]}}])", plain):
            yield f"the year {year}"


@lru_cache(maxsize=10_000)
def _forms(moment_ms: int) -> tuple[str, ...]:
    at = datetime.fromtimestamp(moment_ms / 1000, UTC)
    month, whole = MONTHS[at.month - 1], f"{at:%B}".casefold()
    return (
        *(str(moment_ms), str(moment_ms // 1000), f"{at:%Y-%m-%d}", f"{at:%Y/%m/%d}", f"{at:%Y.%m.%d}", f"{at:%Y%m%d}"),
        *(f"{at:%d.%m.%Y}", f"{at:%m/%d/%Y}", f"{at:%d/%m/%Y}", f"{at.month}/{at.day}/{at.year}"),
        *(f"{month} {at.day} ", f"{month} {at.day},", f" {at.day} {month}", f"{whole} {at.day}"),
    )
