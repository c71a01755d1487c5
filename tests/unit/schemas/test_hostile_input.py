"""Whatever bytes a bot sends: a question, a refusal or a dead letter, and outputs that fit a Kafka record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deciders.outcome import rejected
from schemas import headers as names
from schemas.context import ContextEvent, read_context
from schemas.dead_letter import dead_letter_output
from schemas.decision import decision_output
from schemas.market import MarketContext
from schemas.question import resolve
from schemas.record import Output, Record
from schemas.refusal import DeadLettered, Rejected
from schemas.route import Route
from schemas.size import HEADERS_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX, headers_bytes
from schemas.source import Source
from schemas.tagged import Hop, question_from_tag, tag_for
from tests.unit.samples import FOUNDING, LOGGED_MS, body, policy, record

pytestmark = pytest.mark.unit

POLICY = policy()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=LOGGED_MS - 10**7, max_value=LOGGED_MS + 10**7),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(["BUY", "spot", "1m", "2023-11-14T22:13:20Z", "qwen"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
)
MARKETS = st.dictionaries(st.sampled_from([*MarketContext.model_fields, "x", "y"]), VALUES, max_size=6)
BODIES = st.dictionaries(st.sampled_from([*ContextEvent.model_fields, "zz"]), VALUES, max_size=6)


def fits(output: Output) -> bool:
    return (
        len(output.value) <= VALUE_BYTES_MAX
        and headers_bytes(output.headers) <= HEADERS_BYTES_MAX
        and (output.key is None or len(output.key) <= KEY_BYTES_MAX)
    )


def outcome(came: Record) -> Output:
    """What this record becomes; anything but a question, a refusal or a dead letter is a failure."""
    try:
        question = resolve(read_context(came), came, POLICY)
    except DeadLettered as dead:
        return dead_letter_output(came, came.source, dead.reason, dead.detail)
    except Rejected as refusal:
        return decision_output(came, came.source, rejected(came, refusal, POLICY, LOGGED_MS))
    tag = tag_for(question, "qwen", Route(policy=POLICY.digest), LOGGED_MS + 7)
    output = Hop(came, question, "qwen", tag).output
    arrived = Record(Source(output.topic, 0, 0), output.key, output.value, output.headers, LOGGED_MS + 9)
    assert question_from_tag(arrived) == (question, tag)
    return output


@given(st.binary(max_size=200))
def test_any_bytes_have_one_outcome_that_fits(raw: bytes) -> None:
    assert fits(outcome(record(raw)))


@given(st.text(st.sampled_from('{}[]",:0123456789.-+eENaInfity\\u d8truefalsn \n'), max_size=80))
def test_any_text_that_resembles_json_has_one_outcome(text: str) -> None:
    assert fits(outcome(record(text.encode())))


@settings(max_examples=300)
@given(BODIES, MARKETS)
def test_any_json_under_the_contracts_names_has_one_outcome(fields: dict[str, Any], context: dict[str, Any]) -> None:
    came = record(json.dumps({**FOUNDING, "context": context, **fields}).encode())
    assert fits(outcome(came))


@given(MARKETS)
def test_any_market_has_one_outcome(context: dict[str, Any]) -> None:
    assert fits(outcome(record(body(context=context))))


@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(st.characters(codec="utf-8"), max_size=10), st.sampled_from(sorted(names.RESERVED))),
            st.binary(max_size=40),
        ),
        max_size=8,
    )
)
def test_any_headers_pass_or_are_dropped(headers: list[tuple[str, bytes]]) -> None:
    output = outcome(record(FOUNDING, headers=tuple(headers)))
    assert names.header(output.headers, names.SRC) == b"contexts/3/17"
    written = [name for name, _ in output.headers]
    assert all(written.count(name) <= 1 for name in names.RESERVED)


@pytest.mark.parametrize("size", [1, 1_000, 17_000])
def test_many_large_headers_are_cut_to_what_a_record_holds(size: int) -> None:
    headers = (*((f"h{n}", b"x" * size) for n in range(100)), (names.TRACEPARENT, b"t" * 100_000))
    output = outcome(record(FOUNDING, headers=headers))
    assert fits(output)
    assert names.header(output.headers, names.TRACEPARENT) is None


@pytest.mark.parametrize("raw", [b"\x00" * 300_000, b'{"a":"' + b"\\u0001" * 40_000 + b'"}', b"[" * 262_144])
def test_large_rubbish_is_a_dead_letter_that_fits(raw: bytes) -> None:
    assert fits(outcome(record(raw, key=b"k" * 10_000)))
