"""What a context may hold, and what refuses it: each rule of the contract by its field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.context import read_context, read_event
from schemas.market import Candle
from schemas.refusal import DeadLettered, Reason, Rejected
from tests.unit.samples import FOUNDING, LOGGED_MS, body, candles, record, replayed

pytestmark = pytest.mark.unit

MINUTE_MS = 60_000
OPENED_MS = LOGGED_MS - 2 * MINUTE_MS
ROW = [OPENED_MS, 1.0, 1.0, 1.0, 1.0, 0]


def refusal(**fields: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read_context(record(body(**fields)))
    return caught.value


def dead_reason(value: object, key: bytes | None = None) -> Reason:
    with pytest.raises(DeadLettered) as caught:
        read_context(record(value, key=key))
    assert caught.value.detail
    return caught.value.reason


def test_the_founding_documents_body_is_a_context() -> None:
    event = read_context(record(FOUNDING))
    assert (event.bot_id, event.symbol, event.context.price, event.context.volume) == (
        "momentum_bot",
        "BTCUSDT",
        45000,
        1000000,
    )
    assert event.limits.max_position_pct == 0.02
    assert (event.fallback, event.supersede, event.schema_version) == (True, False, 1)


def test_known_keys_are_typed_and_the_rest_is_kept_as_it_is() -> None:
    context = {
        "position": {"size": -2, "entry_price": 3, "leverage": 5},
        "account": {"equity": 10, "cash": 5.5},
        "interval": "1m",
        "candles": [ROW, dict(zip("tohlcv", [ROW[0] + MINUTE_MS, 1, 2, 1, 1.5, 3], strict=True))],
        "indicators": {"rsi": 55},
        "news": [{"source": "x", "published_at": "2023-11-14T22:00:00Z", "text": "y"}],
        "mood": {"deep": ["er", None, True]},
    }
    market = read_context(record(body(context=context))).context
    assert (market.position_size, market.holds, market.price_ref) == (-2, True, 1.5)
    assert market.candles[1] == Candle(OPENED_MS + MINUTE_MS, 1, 2, 1, 1.5, 3)
    assert market.rest == {"mood": {"deep": ["er", None, True]}}
    assert market.news[0].published_at == LOGGED_MS - 800_000


@pytest.mark.parametrize(
    ("context", "holds", "size"),
    [
        ({}, None, None),
        ({"has_position": True}, True, None),
        ({"has_position": False}, False, 0.0),
        ({"position": 0}, False, 0.0),
        ({"position": 1.5, "has_position": True}, True, 1.5),
    ],
)
def test_a_position_is_known_only_where_the_bot_says_so(context: dict[str, Any], holds: bool | None, size: float | None) -> None:
    market = read_context(record(body(context=context))).context
    assert (market.holds, market.position_size) == (holds, size)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"buy bitcoin", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"\xef\xbb\xbf{}", Reason.NOT_JSON),
        (b'{"bot_id":"\xff"}', Reason.NOT_JSON),
        (b'{"bot_id":"\\ud800"}', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b'{"x":' + b"9" * 5_000 + b"}", Reason.NOT_JSON),
        (b"[]", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b"NaN", Reason.NOT_AN_OBJECT),
        (b'"x"', Reason.NOT_AN_OBJECT),
        (b" " * (256 * 1024 + 1), Reason.TOO_LARGE),
        ({"schema_version": 2}, Reason.UNKNOWN_SCHEMA_VERSION),
        (body(schema_version=True), Reason.UNKNOWN_SCHEMA_VERSION),
        (body(schema_version=1.0), Reason.UNKNOWN_SCHEMA_VERSION),
        (body(schema_version="1"), Reason.UNKNOWN_SCHEMA_VERSION),
        (body(schema_version=None), Reason.UNKNOWN_SCHEMA_VERSION),
        ({}, Reason.NO_SENDER),
        (body(bot_id=None), Reason.NO_SENDER),
        (body(bot_id=7), Reason.NO_SENDER),
        (body(bot_id=""), Reason.NO_SENDER),
        (body(bot_id="a" * 65), Reason.NO_SENDER),
        (body(bot_id="a\n"), Reason.NO_SENDER),
        (body(bot_id="böt"), Reason.NO_SENDER),
        (body(bot_id="a/b"), Reason.NO_SENDER),
        (body(symbol="BTC USDT"), Reason.NO_SENDER),
        (body(symbol=["BTCUSDT"]), Reason.NO_SENDER),
    ],
)
def test_what_cannot_be_answered_is_a_dead_letter(value: object, reason: Reason) -> None:
    assert dead_reason(value) is reason


def test_a_value_of_exactly_256_KiB_is_read() -> None:  # noqa: N802 - the unit's name
    raw = json.dumps(FOUNDING).encode()
    assert read_context(record(raw + b" " * (256 * 1024 - len(raw)))).bot_id == "momentum_bot"


def test_a_key_that_would_not_fit_beside_its_outcome_is_too_large() -> None:
    assert dead_reason(FOUNDING, key=b"k" * 4097) is Reason.TOO_LARGE


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT:USDT", "a.b_c-d", "x" * 64])
def test_the_symbols_of_exchanges_are_taken(symbol: str) -> None:
    assert read_context(record(body(symbol=symbol))).symbol == symbol


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"surprise": 1}, "surprise", "unknown field"),
        ({"": 1}, '""', "unknown field"),
        ({"\u200b": 1}, r'"\u200b"', "unknown field"),
        ({": ": 1}, '": "', "unknown field"),
        ({"risk_limits": {"": 0.1}}, 'risk_limits.""', "unknown field"),
        ({"risk_limits": {"max_positon_pct": 0.1}}, "risk_limits.max_positon_pct", "unknown field"),
        ({"context": None}, "context", "must be an object"),
        ({"context": [1]}, "context", "must be an object"),
        ({"context_id": ""}, "context_id", "at least 1"),
        ({"context_id": "x" * 129}, "context_id", "at most 128"),
        ({"context_id": 7}, "context_id", "must be a string"),
        ({"model_preference": 1}, "model_preference", "must be a string"),
        ({"fallback": 1}, "fallback", "true or false"),
        ({"fallback": "false"}, "fallback", "true or false"),
        ({"supersede": 0}, "supersede", "true or false"),
        ({"experiment": 1}, "experiment", "must be a string"),
        ({"experiment": "x" * 129}, "experiment", "at most 128"),
        ({"horizon_s": 0}, "horizon_s", "at least 1"),
        ({"horizon_s": 1.5}, "horizon_s", "must be an integer"),
        ({"horizon_s": True}, "horizon_s", "must be an integer"),
        ({"horizon_s": 10**12}, "horizon_s", "at most"),
        ({"max_age_ms": -1}, "max_age_ms", "at least 0"),
        ({"ttl_ms": -1}, "ttl_ms", "at least 0"),
        ({"ttl_ms": 3_600_001}, "ttl_ms", "one hour"),
        ({"ttl_ms": "1000"}, "ttl_ms", "must be an integer"),
        ({"risk_limits": {"max_position_pct": 2}}, "risk_limits.max_position_pct", "fraction of equity, 0.02 is 2 %"),
        ({"risk_limits": {"max_position_pct": -0.1}}, "risk_limits.max_position_pct", "at least 0"),
        ({"risk_limits": {"max_position_pct": "0.5"}}, "risk_limits.max_position_pct", "must be a number"),
        ({"risk_limits": {"max_position_pct": True}}, "risk_limits.max_position_pct", "must be a number"),
        ({"risk_limits": {"max_position_pct": float("nan")}}, "risk_limits.max_position_pct", "finite"),
        ({"risk_limits": {"min_confidence": 1.01}}, "risk_limits.min_confidence", "at most 1"),
        ({"risk_limits": {"allowed_actions": ["BUY", "buy"]}}, "risk_limits.allowed_actions[1]", "'CLOSE'"),
        ({"risk_limits": {"allowed_actions": "BUY"}}, "risk_limits.allowed_actions", "must be a list"),
        ({"risk_limits": {"require_stop": "yes"}}, "risk_limits.require_stop", "true or false"),
        ({"risk_limits": [1]}, "risk_limits", "must be an object"),
    ],
)
def test_an_envelope_that_breaks_a_rule_is_refused_by_name(fields: dict[str, Any], field: str, rule: str) -> None:
    refused = refusal(**fields)
    assert refused.field == field
    assert rule in refused.rule


@pytest.mark.parametrize(
    ("context", "field", "rule"),
    [
        ({"price": float("nan")}, "context.price", "NaN"),
        ({"price": float("inf")}, "context.price", "infinity"),
        ({"price": 10**400}, "context.price", "finite"),
        ({"price": -1}, "context.price", "greater than 0"),
        ({"price": 0}, "context.price", "greater than 0"),
        ({"price": "45000"}, "context.price", "must be a number"),
        ({"price": True}, "context.price", "must be a number"),
        ({"volume": -1}, "context.volume", "at least 0"),
        ({"volume_ratio": -1}, "context.volume_ratio", "at least 0"),
        ({"volatility": -0.1}, "context.volatility", "at least 0"),
        ({"sentiment": 1.1}, "context.sentiment", "at most 1"),
        ({"sentiment": -1.1}, "context.sentiment", "at least -1"),
        ({"market": "futures"}, "context.market", "'spot' or 'perp'"),
        ({"has_position": 1}, "context.has_position", "true or false"),
        ({"has_position": False, "position": 1}, "context.has_position", "contradicts"),
        ({"has_position": True, "position": {"size": 0}}, "context.has_position", "contradicts"),
        ({"position": "long"}, "context.position", "must be an object"),
        ({"position": True}, "context.position", "must be an object"),
        ({"position": {"entry_price": 1}}, "context.position.size", "required"),
        ({"position": {"size": 1, "entry_price": 0}}, "context.position.entry_price", "greater than 0"),
        ({"account": {"equity": "much"}}, "context.account.equity", "must be a number"),
        ({"indicators": {"rsi": None}}, "context.indicators.rsi", "must be a number"),
        ({"indicators": [1]}, "context.indicators", "must be an object"),
        ({"anything": {"at": ["all", float("-inf")]}}, "context.anything.at[1]", "finite"),
        ({"interval": "1M"}, "context.interval", "1m or 4h"),
        ({"interval": 60}, "context.interval", "must be a string"),
        ({"candles": [ROW]}, "context.interval", "required beside"),
        ({"interval": "1m", "candles": [ROW[:5]]}, "context.candles[0].v", "required"),
        ({"interval": "1m", "candles": [[*ROW, 1]]}, "context.candles[0]", "at most 6"),
        ({"interval": "1m", "candles": [[1_600_000_000, *ROW[1:]]]}, "context.candles[0].t", "at least 1e+11"),
        ({"interval": "1m", "candles": [[float(ROW[0]), *ROW[1:]]]}, "context.candles[0].t", "integer"),
        ({"interval": "1m", "candles": [[*ROW[:4], -1, 0]]}, "context.candles[0].c", "greater than 0"),
        ({"interval": "1m", "candles": [ROW, ROW]}, "context.candles[1].t", "oldest first"),
        ({"interval": "1m", "candles": ["x"]}, "context.candles[0]", "{t,o,h,l,c,v}"),
        (
            {"interval": "1m", "candles": [[LOGGED_MS - MINUTE_MS + 1, *ROW[1:]]]},
            "context.candles[0]",
            "closes after as_of",
        ),
        ({"news": [{"text": "t"}]}, "context.news[0].published_at", "required"),
        ({"news": [{"text": "t", "published_at": LOGGED_MS + 1}]}, "context.news[0].published_at", "newer than as_of"),
        ({"news": [{"text": 1, "published_at": LOGGED_MS}]}, "context.news[0].text", "must be a string"),
    ],
)
def test_a_context_that_breaks_a_rule_is_refused_by_name(context: dict[str, Any], field: str, rule: str) -> None:
    refused = refusal(context=context)
    assert refused.field == field
    assert rule in refused.rule


def test_a_candle_may_close_exactly_at_as_of() -> None:
    context = {"interval": "1m", "candles": candles([1.0, 2.0])}
    assert read_context(record(body(context=context))).context.price_ref == 2.0


def test_the_newest_candle_counts_against_as_of_and_not_against_the_log() -> None:
    context = {"interval": "1m", "candles": candles([1.0, 2.0])}
    assert refusal(context=context, as_of=LOGGED_MS - 1).field == "context.candles[1]"


def nested(levels: int) -> dict[str, Any]:
    return {"x": nested(levels - 1)} if levels > 1 else {"x": 1}


def test_a_context_has_at_most_8_levels() -> None:
    read_context(record(body(context=nested(8))))
    assert "deeper than 8" in refusal(context=nested(9)).rule


def test_a_context_has_at_most_64_KiB_however_it_is_written() -> None:  # noqa: N802 - the unit's name
    fits = {"x": "a" * (64 * 1024 - 8)}
    assert read_context(record(json.dumps(body(context=fits), indent=300).encode())).context.rest == fits
    assert "65536" in refusal(context={"x": "a" * (64 * 1024)}).rule


@pytest.mark.parametrize(
    ("as_of", "ms"),
    [
        (None, None),
        (LOGGED_MS + 5_000, LOGGED_MS + 5_000),
        ("2023-11-14T22:13:20Z", LOGGED_MS),
        ("2023-11-14T23:13:20.1239+01:00", LOGGED_MS + 123),
        ("1973-03-03T09:46:40Z", 100_000_000_000),
    ],
)
def test_as_of_is_an_instant_of_two_kinds(as_of: object, ms: int | None) -> None:
    assert read_context(record(body(as_of=as_of))).as_of == ms


@pytest.mark.parametrize(
    ("as_of", "rule"),
    [
        (1_700_000_000, "below 1e11 it is seconds"),
        (-5, "seconds"),
        (True, "RFC 3339"),
        (1.7e12, "RFC 3339"),
        (float("nan"), "RFC 3339"),
        ("2023-11-14T22:13:20", "with an offset"),
        ("2023-11-14", "with an offset"),
        ("2023-02-30T00:00:00Z", "no date"),
        ("2023-11-14T22:13:20+25:00", "offset beyond"),
        ("٢٠٢٣-11-14T22:13:20Z", "with an offset"),
        (10**20, "year 10000"),
        ("9999-12-31T23:59:59.999-23:59", "outside the years"),
        ("0001-01-01T00:00:00+23:59", "outside the years"),
        (LOGGED_MS + 5_001, "5 s ahead of the log"),
        ("9999-12-31T23:59:59Z", "5 s ahead of the log"),
    ],
)
def test_an_as_of_that_is_no_instant_or_lies_ahead_is_refused(as_of: object, rule: str) -> None:
    refused = refusal(as_of=as_of)
    assert refused.field == "as_of"
    assert rule in refused.rule
    assert refused.envelope.as_of_ms is None


def test_time_to_live_is_said_in_one_way_and_at_most_an_hour_ahead() -> None:
    assert "one of them" in refusal(ttl_ms=1000, expires_at="2023-11-14T22:13:21Z").rule
    assert "one hour" in refusal(expires_at="2023-11-14T23:13:20.001Z").rule
    assert refusal(expires_at=LOGGED_MS).field == "expires_at"
    assert read_context(record(body(expires_at="2023-11-14T23:13:20Z"))).expires_at == LOGGED_MS + 3_600_000
    assert read_context(record(body(expires_at="1990-01-01T00:00:00Z"))).expires_at is not None


def test_a_refusal_keeps_what_is_sound_of_the_envelope() -> None:
    sound = {"context_id": "mine", "horizon_s": 60, "experiment": "e", "as_of": LOGGED_MS - 1}
    kept = refusal(**sound, surprise=1).envelope
    assert (kept.bot_id, kept.symbol, kept.context_id, kept.horizon_s, kept.experiment, kept.as_of_ms) == (
        "momentum_bot",
        "BTCUSDT",
        "mine",
        60,
        "e",
        LOGGED_MS - 1,
    )
    broken = {"context_id": "x" * 129, "horizon_s": "x", "experiment": 7, "as_of": "yesterday"}
    lost = refusal(**broken).envelope
    assert (lost.context_id, lost.horizon_s, lost.experiment, lost.as_of_ms) == (None, None, None, None)


def test_a_refusal_without_an_as_of_of_its_own_is_dated_by_the_log() -> None:
    assert refusal(surprise=1).envelope.as_of_ms == LOGGED_MS


def test_null_counts_as_absent_where_a_field_has_no_value_by_default() -> None:
    optional = ("context_id", "model_preference", "risk_limits", "as_of", "ttl_ms", "expires_at", "max_age_ms")
    event = read_context(record(body(**dict.fromkeys((*optional, "horizon_s", "experiment")))))
    assert event == read_context(record({k: v for k, v in FOUNDING.items() if k != "risk_limits"}))


def test_the_last_of_two_equal_keys_counts() -> None:
    raw = json.dumps(FOUNDING).encode()[:-1] + b',"bot_id":"second"}'
    assert read_context(record(raw)).bot_id == "second"


def test_the_name_of_an_unknown_field_is_cut() -> None:
    assert len(refusal(**{"x" * 10_000: 1}).field) <= 160


def test_a_replayed_context_is_dated_by_its_original() -> None:
    ahead = body(as_of=1_600_000_005_001)
    with pytest.raises(Rejected, match="ahead of the log"):
        read_context(replayed(ahead))
    read_context(record(ahead))


def test_a_body_is_read_without_a_record_too() -> None:
    assert read_event(json.dumps(FOUNDING).encode(), LOGGED_MS) == read_context(record(FOUNDING))
