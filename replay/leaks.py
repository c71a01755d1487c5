"""What a masked prompt still tells of its market and its time, looked for by other means than the mask's own. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from deciders.features import compute_features
from deciders.prompt import render, sight_of, summary_text
from replay.mask import NAMES, as_of_of, parts_of
from schemas import headers as names
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
# Words for a time that are nothing else. "may" and "march" count with a number beside them only.
CALENDAR: Final = frozenset({
    "january", "february", "april", "june", "july", "august", "september", "october", "november", "december",
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
})  # fmt: skip


def told_by(hidden: Record, original: Record, templates: Iterable[Template], policy: Policy) -> tuple[str, ...]:
    """What the prompts of a masked context, in each of these templates, tell of the original. Nothing where no model is asked."""
    origin = Origin(hidden.source, hidden.timestamp_ms)
    headers = ((names.RUN_ID, b"masked"), (names.ORIGIN, str(origin).encode()))
    record = replace(hidden, source=replace(hidden.source, topic=Side.REPLAYS.contexts), headers=headers)
    try:
        question = resolve(read_context(record), record, policy)
        own = read_context(original)
    except (DeadLettered, Rejected):
        return ()
    features, market = compute_features(question.event.context, policy.features), own.context
    moments = (as_of_of(original), *(each.t for each in market.candles), *(each.published_at for each in market.news))
    summary = summary_text(sight_of(question, features))  # our own words for numbers
    found = (
        leak
        for each in templates
        for leak in leaks(render(each, question, features).text, own.symbol, moments, f"{each.system} {each.user} {summary}")
    )
    return tuple(dict.fromkeys(found))


def leaks(text: str, symbol: str, moments_ms: Iterable[int], said: str = "") -> tuple[str, ...]:
    """What in a rendered prompt names this symbol, a part of it, or one of these moments; empty where nothing does.

    `said`: what every prompt says anyhow; a symbol that is one of its words is hidden in it. Numbers inside JSON are no years: a
    price of 2022 is none.
    """
    shown = unicodedata.normalize("NFKC", text)
    plain = shown.casefold()
    named = _of_symbol(shown, plain, symbol, frozenset(_words(said.casefold())))
    return tuple(dict.fromkeys([*named, *_of_words(plain), *_of_moments(plain, moments_ms)]))


def _of_symbol(shown: str, plain: str, symbol: str, said: frozenset[str]) -> Iterator[str]:
    bare = re.sub(r"[^a-z0-9]", "", symbol.casefold())
    if len(bare) >= BARE_MIN and bare in re.sub(r"[^a-z0-9]", "", plain):
        yield f"the symbol {symbol}"
    words = frozenset(_words(plain)) - said
    for part in (each for each in parts_of(symbol) if len(each) > 1 and not each.isdecimal()):
        for name in (part, *NAMES.get(part, ())):
            if {name.casefold(), f"{name.casefold()}s"} & words or (" " in name and name in plain):
                yield f"{name}, which is {symbol}"
        if len(part) >= PART_MIN and part.isalpha() and part in shown and part.casefold() not in said:
            yield f"{part}, which is {symbol}"


def _words(plain: str) -> Iterator[str]:
    yield from re.findall(r"[a-z]+", plain)
    yield from re.findall(r"[a-z0-9]+", plain)


def _of_words(plain: str) -> Iterator[str]:
    for word in sorted(CALENDAR & set(re.findall(r"[a-z]+", plain))):
        yield f"the word {word}"


def _of_moments(plain: str, moments_ms: Iterable[int]) -> Iterator[str]:
    years = set()
    for moment_ms in moments_ms:
        at = datetime.fromtimestamp(moment_ms / 1000, UTC)
        years.add(at.year)
        yield from (f"the moment {form}" for form in _forms(at, moment_ms) if form in plain)
    for year in sorted(years):
        if re.search(rf"(?<![\d.,\[:]){year}(?![\d.,\]}}])", plain):
            yield f"the year {year}"


def _forms(at: datetime, moment_ms: int) -> Iterator[str]:
    month = MONTHS[at.month - 1]
    yield from (str(moment_ms), str(moment_ms // 1000), f"{at:%Y-%m-%d}", f"{at:%Y/%m/%d}", f"{at:%Y.%m.%d}", f"{at:%Y%m%d}")
    yield from (f"{at:%d.%m.%Y}", f"{at:%m/%d/%Y}", f"{at:%d/%m/%Y}", f"{at.month}/{at.day}/{at.year}")
    yield from (f"{month} {at.day} ", f"{month} {at.day},", f" {at.day} {month}", f"{at:%B}".casefold() + f" {at.day}")
