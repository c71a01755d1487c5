"""From a body to the record it becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.fresh_id import uuid7
from gateway.intake import Naming, take, trace, wait_s
from gateway.problems import Problem
from schemas.canonical import canonical_json

pytestmark = pytest.mark.unit

NOW_MS = 1_700_000_000_000
EVENT: dict[str, Any] = {"context": {"price": 45000}, "bot_id": "bot", "symbol": "BTCUSDT"}


def body(**more: Any) -> bytes:
    return json.dumps(EVENT | more).encode()


def named(key: str | None = None, fresh: str = "fresh") -> Naming:
    return Naming(key, fresh)


def refused(given: bytes, naming: Naming | None = None, only: str | None = None) -> tuple[int, str | None]:
    with pytest.raises(Problem) as caught:
        take(given, naming or named(), NOW_MS, only)
    return caught.value.details.status, caught.value.details.field


def test_the_record_is_the_body_in_canonical_bytes_with_its_id() -> None:
    asked = take(body(), named(), NOW_MS)
    assert asked.value == canonical_json(EVENT | {"context_id": "fresh"})
    assert asked.key == b"bot:BTCUSDT"


def test_two_ways_to_write_one_body_are_one_content() -> None:
    one = take(b'{"symbol":"BTCUSDT", "bot_id":"bot","context":{"price":45000}}', named("id"), NOW_MS)
    assert one.content_digest == take(body(), named("id"), NOW_MS).content_digest


@pytest.mark.parametrize(
    ("own", "key", "expected"),
    [("own", None, "own"), (None, "key", "key"), (None, '"quoted"', "quoted"), ("same", "same", "same"), (None, None, "fresh")],
)  # fmt: skip
def test_the_id_is_the_bodys_own_else_the_key_else_a_fresh_one(own: str | None, key: str | None, expected: str) -> None:
    assert take(body(context_id=own), named(key), NOW_MS).ids == ("bot", "BTCUSDT", expected)


def test_an_id_that_the_key_contradicts_is_refused() -> None:
    assert refused(body(context_id="one"), named("two")) == (400, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", "x" * 129])
def test_a_key_of_no_use_is_refused(key: str) -> None:
    assert refused(body(), named(key)) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"", (400, "body")),
        (b"\xff", (400, "body")),
        (b"17", (400, "body")),
        (b'{"context": {"x": "\\ud800"}, "bot_id": "bot", "symbol": "B"}', (400, "body")),
        (body(bot_id="a b"), (422, "bot_id")),
        (body(symbol=None), (422, "symbol")),
        (body(schema_version=2), (422, "schema_version")),
        (body(context_id=7), (422, "context_id")),
        (body(context_id=""), (422, "context_id")),
        (body(risk_limits={"max_position_pct": 2}), (422, "risk_limits.max_position_pct")),
        (body(as_of=1_700_000), (422, "as_of")),
        (body(as_of=NOW_MS + 6_000), (422, "as_of")),
    ],
)
def test_what_the_pipeline_would_refuse_is_refused_with_its_field(given: bytes, expected: tuple[int, str]) -> None:
    assert refused(given) == expected


def test_one_model_is_asked_without_fallback() -> None:
    event = json.loads(take(body(), named(), NOW_MS, "phi3").value)
    assert (event["model_preference"], event["fallback"]) == ("phi3", False)


def test_a_body_that_wants_another_model_than_the_path_is_refused() -> None:
    assert refused(body(model_preference="qwen"), only="phi3") == (422, "model_preference")
    assert refused(body(fallback=True), only="phi3") == (422, "fallback")


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (None, (30.0, False)),
        ("respond-async", (30.0, False)),
        ("wait=5", (5.0, True)),
        ('respond-async, wait="0"', (0.0, True)),
        ("Wait = 7; foo=bar", (7.0, True)),
        ("wait=9999", (30.0, True)),
        ("wait=-1", (30.0, False)),
        ("await=5", (30.0, False)),
    ],
)
def test_a_preference_shortens_the_wait_and_never_lengthens_it(prefer: str | None, expected: tuple[float, bool]) -> None:
    assert wait_s(prefer, 30.0) == expected


def test_only_a_trace_context_is_passed_on() -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert trace(good) == good
    assert trace("x" * 1000) is None
    assert trace(None) is None


def test_a_fresh_id_is_a_uuid_of_version_7_in_the_order_of_time() -> None:
    from uuid import UUID

    first, second = uuid7(NOW_MS, (1 << 74) - 1), uuid7(NOW_MS + 1, 0)
    assert first < second
    for text in (first, second):
        assert (UUID(text).version, UUID(text).variant) == (7, "specified in RFC 4122")
    assert UUID(first).int >> 80 == NOW_MS
    assert uuid7(NOW_MS, 1) != uuid7(NOW_MS, 2)
