"""A masked context tells a model neither its market nor its time; who looks for both in the rendered prompt finds nothing."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from backbone.settings import REPOSITORY
from replay import dates, mask, names
from replay.candles import contexts_of
from replay.leaks import leaks, told_by
from replay.mask import ANCHOR_MS, masked, pseudonym
from schemas.canonical import canonical_json, rfc3339
from schemas.context import read_context
from schemas.record import Record
from tests.unit.replay.recording import CATALOGUE, POLICY
from workers.catalogue import load_catalogue

pytestmark = pytest.mark.unit

REAL = REPOSITORY / "examples" / "market-data"
FILES = {
    "BTCUSDT": "bybit-BTCUSDT-1m-20221213.csv", "BTC/USDT:USDT": "bybit-BTCUSDT-1m-20221213.csv",
    "ETH-USD": "coinbase-ETHUSD-1m-20180404-05.csv", "LTCUSD": "coinbase-ETHUSD-1m-20180404-05.csv",
}  # fmt: skip
TEMPLATES = [serving.template for entry in load_catalogue(CATALOGUE).values() for serving in (entry, entry.stand_in) if serving]
CONTEXTS = 1_000
TOLD = (  # what others write; {} is a form of the symbol's name
    "{} falls below support on December 13, 2022", "Why {} may rise: 5 reasons", "#{} to the moon, says analyst (Dec 13th)",
    "{}s sold on 2022-12-13T09:30:00Z at the open", "On Tuesday 13 Dec 2022 {} holders met", "{} in Q4 2022 and 2018",
    "as of 04/04/2018 14:30 UTC {} was heavy", "20221213: {}", "{} 1670924400 1670924400000", "{}\u200b moved in April",
)  # fmt: skip
NAMED = {
    "BTCUSDT": ("BTC", "Bitcoin", "bitcoin", "XBT", "BTCUSDT", "BTC-USD", "B\u200bTC", "\uff22\uff34\uff23", "btc_usdt"),
    "ETH-USD": ("ETH", "Ethereum", "ether", "ETHUSD", "eth/usd", "ETH"),
    "LTCUSD": ("LTC", "litecoin", "Litecoin", "LTC/USD"),
}


def told(seed: int) -> Iterator[tuple[str, Record]]:
    """A thousand real contexts, with news, keys and numbers that name the market and the time; and each one's symbol."""
    draw = random.Random(seed)
    each = CONTEXTS // len(FILES)
    for symbol, file in FILES.items():
        for number, record in enumerate(contexts_of(symbol, REAL / file)):
            if number == each:
                break
            yield symbol, with_words(record, symbol, draw)


def with_words(record: Record, symbol: str, draw: random.Random) -> Record:
    body = json.loads(record.value)
    at_ms = record.timestamp_ms
    called = NAMED.get(symbol, NAMED["BTCUSDT"])
    news = [{"published_at": at_ms - 1_000 * n, "text": draw.choice(TOLD).format(draw.choice(called))} for n in range(3)]
    free = {
        f"{draw.choice(called)}_dominance": 0.4, "seen": at_ms, "seen_s": at_ms // 1000, "opened": rfc3339(at_ms - 3_600_000),
        "listed_at": at_ms - 2_000 * 86_400_000, "updatedTime": at_ms / 1000 - 0.75, "monday_open": 5.5, "december_high": 6.5,
        "note": {"deep": [draw.choice(TOLD).format(symbol), draw.random()]},
    }  # fmt: skip
    return replace(record, value=canonical_json(body | {"context": body["context"] | free | {"news": news}}))


def found(record: Record, symbol: str, original: Record) -> set[str]:
    """What leaks of the original's market and time from this record's prompts, in all templates."""
    assert read_context(original).symbol == symbol
    return set(told_by(record, original, TEMPLATES, POLICY))


def test_no_prompt_of_a_thousand_contexts_tells_its_market_or_its_time() -> None:
    for symbol, record in told(seed=1):
        hidden = masked(record)
        assert found(hidden, symbol, record) == set(), hidden.value
        assert read_context(hidden).context.price == read_context(record).context.price


def test_unmasked_each_of_them_tells_both() -> None:
    for symbol, record in list(told(seed=2))[::25]:
        leaked = found(record, symbol, record)
        assert any("which is" in each for each in leaked) and any("the moment" in each for each in leaked), leaked


@pytest.fixture
def unnamed() -> Iterator[None]:
    """No pattern of a symbol is kept from before, or for later."""
    names.naming.cache_clear()
    yield
    names.naming.cache_clear()


@pytest.mark.parametrize(
    ("room", "rule", "told_of"),
    [
        (dates, "_NUMBERED", "the year"),
        (dates, "_WORDS", "the word"),
        (names, "NAMES", "which is"),
        (mask, "clean_text", "which is"),
        (mask, "ANCHOR_MS", "the moment"),
        (dates, "_MOMENT", "the moment"),
    ],
)
def test_a_mask_that_lacks_a_rule_is_found_out(
    monkeypatch: pytest.MonkeyPatch, room: ModuleType, rule: str, told_of: str, unnamed: None
) -> None:
    contexts = list(told(seed=3))[:60]
    without: dict[str, Any] = {"NAMES": {}, "clean_text": str, "ANCHOR_MS": contexts[0][1].timestamp_ms}
    monkeypatch.setattr(room, rule, without.get(rule, re.compile(r"(?!)")))
    leaked = {leak for symbol, record in contexts for leak in found(masked(record), symbol, record)}
    assert any(told_of in each for each in leaked), leaked


def test_distances_in_time_and_prices_stay_and_the_same_context_is_masked_alike() -> None:
    symbol, record = next(told(seed=4))
    before, after = read_context(record), read_context(masked(record))
    assert (after.symbol, after.as_of) == (pseudonym(symbol), ANCHOR_MS)
    shift_ms = ANCHOR_MS - record.timestamp_ms
    assert [each.t - shift_ms for each in after.context.candles] == [each.t for each in before.context.candles]
    assert [each[1:] for each in after.context.candles] == [each[1:] for each in before.context.candles]
    assert [each.published_at - shift_ms for each in after.context.news] == [each.published_at for each in before.context.news]
    assert after.context.rest["seen"] == ANCHOR_MS and after.context.rest["seen_s"] == ANCHOR_MS // 1000
    assert masked(record) == masked(record) and len(after.context.rest) == len(before.context.rest)


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{}", b'{"symbol": 5, "context": {}}', b'{"symbol": "S", "context": 5}', b"\xff", b"[" * 9_999]
)
def test_what_is_no_context_stays_as_it_is(value: bytes) -> None:
    record = replace(next(told(seed=5))[1], value=value)
    assert masked(record) == record


def test_a_price_that_reads_like_a_year_is_no_leak() -> None:
    moment_ms = 1_670_889_600_000
    assert leaks('{"candles":[[315532800000,2022,2022.5,2021,2022,5]],"price":2022}', "ABCUSD", [moment_ms]) == ()
    assert leaks("as seen in 2022", "ABCUSD", [moment_ms]) == ("the year 2022",)


def test_amounts_stay_what_they_are_however_large() -> None:
    _, record = next(told(seed=6))
    body = json.loads(record.value)
    amounts = {"volume_24h": 800_000_000, "cap": 330_000_000_000, "wide": 1e300, "half": 1_670_000_000.5, "count": 5, "no": None}
    given = replace(record, value=canonical_json(body | {"context": body["context"] | amounts | {"flag": True}}))
    found = json.loads(masked(given).value)["context"]
    assert {name: found[name] for name in amounts} == amounts and found["flag"] is True


def as_masked(text: str, symbol: str = "BTCUSDT", key: str = "note") -> str:
    """What is left of this text in a masked context of this symbol, in small letters."""
    _, record = next(told(seed=7))
    body = json.loads(record.value)
    given = replace(record, value=canonical_json(body | {"symbol": symbol, "context": body["context"] | {key: text}}))
    return str(json.loads(masked(given).value)["context"][key]).casefold()


@pytest.mark.parametrize(
    "text",
    [
        "$btc pumps", "BTC/ETH ratio", "bitcoin's fall", "In Dec '22 it fell", "on 12/13 at noon", "the 13th of December",
        "FY22", "h2 2022", "Dec-13", "13-Dec-2022", "Tue Dec 13 00:00:00 2022", "2022\u5e74", "since '22", "20221213T0000",
        "B T C", "B-T-C", "b.t.c", "BTCUSDT_PERP", "tBTCUSD", "XBTUSD", "wBTC", "BTCDOM", "Bitcoiners", "#bitcoinhalving",
        "btcDominance", "isBtcUp", "bitcoinPrice", "BTC-29DEC23", "DEC22", "in 2021/22", "twenty twenty-two", "prevFridayClose",
        "on Sat", "december_high", "Bitcoin Cash", "1670889599.25", "\uff22\uff34\uff23 in \uff12\uff10\uff12\uff12",
    ],
)  # fmt: skip
def test_however_it_is_written_neither_market_nor_time_is_left(text: str) -> None:
    found = as_masked(text)
    time = r"2022|'22|fy22|12/13|dec\b|december|20221213|dec2|/22|twenty|friday|\bsat\b|16708"
    assert not re.search(rf"b\W?t\W?c|xbt|bitcoin|{time}", found), found


@pytest.mark.parametrize(
    ("symbol", "text", "left"),
    [
        ("ETHBTC", "ETH over Ethereum, BTC and bitcoin", "eth|btc|bitcoin"),
        ("1000PEPEUSDT", "PEPE, pepe and 1000PEPE", "pepe"),
        ("XXBTZUSD", "XBT, BTC or bitcoin", "xbt|btc|bitcoin"),
        ("tBTCUSD", "BTC or Bitcoin", "btc|bitcoin"),
        ("EURUSD", "EUR/USD: the Euro and the dollar", "eur|usd|dollar"),
        ("USDJPY", "JPY is the Yen", "jpy|yen"),
        ("SHIBUSDT", "Shiba Inu, shiba_inu", "shib|inu"),
        ("DOTUSD", "DOT, Polkadot", "dot"),
    ],
)
def test_whatever_a_symbol_is_made_of_is_masked(symbol: str, text: str, left: str) -> None:
    assert not re.search(left, as_masked(text, symbol)), as_masked(text, symbol)
    assert leaks(text, symbol, []) != ()


@pytest.mark.parametrize(
    "text", ["it fell sharply", "twenty two people marched", "a maybe", "Sunny satellites", "paid in USDT", "1.5"]
)
def test_what_names_neither_market_nor_time_stays(text: str) -> None:
    assert as_masked(text) == text.casefold()


@pytest.mark.parametrize(
    "symbol", ["W", "ONE/USDT", "A/USD", "TREND-USD", "BTC-29DEC23-100-C", "EURUSD", "USDT", "1INCHUSDT", "SOLUSDT"]
)
def test_a_symbol_that_is_a_word_of_every_prompt_stops_no_honest_run(symbol: str) -> None:
    _, record = next(told(seed=8))
    given = replace(record, value=canonical_json(json.loads(record.value) | {"symbol": symbol}))
    assert told_by(masked(given), given, TEMPLATES, POLICY) == ()
