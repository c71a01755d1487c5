"""A question is a context with everything resolved, and nothing but its record and the policy goes into it."""

from __future__ import annotations

import hashlib

import pytest

from schemas.context import read_context
from schemas.question import Question, decision_id, resolve
from schemas.record import Record
from schemas.refusal import Rejected
from tests.unit.samples import FOUNDING, LOGGED_MS, body, policy, question, record, replayed

pytestmark = pytest.mark.unit


def resolved(came: Record, extra: str = "") -> Question:
    return resolve(read_context(came), came, policy(extra))


def test_what_a_bot_does_not_say_comes_from_the_record_and_the_policy() -> None:
    asked = question()
    assert asked.context_id == f"contexts/3/17@{LOGGED_MS}"
    assert asked.key == b"momentum_bot:BTCUSDT"
    assert asked.content_digest == hashlib.sha256(record(FOUNDING).value).hexdigest()
    assert (asked.received_at_ms, asked.as_of_ms) == (LOGGED_MS, LOGGED_MS)
    assert (asked.valid_until_ms, asked.horizon_s) == (LOGGED_MS + 60_000, 900)
    assert (asked.bot_id, asked.symbol, asked.run_id) == ("momentum_bot", "BTCUSDT", None)


def test_what_a_bot_says_stands() -> None:
    asked = question(context_id="mine", as_of=LOGGED_MS - 5, ttl_ms=7, horizon_s=30)
    assert (asked.context_id, asked.as_of_ms, asked.valid_until_ms, asked.horizon_s) == (
        "mine",
        LOGGED_MS - 5,
        LOGGED_MS + 7,
        30,
    )
    assert question(expires_at="2023-11-14T22:13:25Z").valid_until_ms == LOGGED_MS + 5_000


@pytest.mark.parametrize(("key", "expected"), [(b"own", b"own"), (b"", b"momentum_bot:BTCUSDT")])
def test_a_key_stays_as_it_came(key: bytes, expected: bytes) -> None:
    assert resolved(record(FOUNDING, key=key)).key == expected


def test_a_question_is_over_from_its_last_moment_on() -> None:
    asked = question(ttl_ms=10)
    assert not asked.is_over(LOGGED_MS + 9)
    assert asked.is_over(LOGGED_MS + 10)


def test_a_decision_has_one_id_wherever_it_is_computed() -> None:
    named = question(context_id="mine")
    assert named.decision_id == decision_id("momentum_bot", "BTCUSDT", "mine")
    ids = {
        named.decision_id,
        decision_id("momentum_bot", "BTCUSDT", "other"),
        decision_id("momentum_bot", "ETHUSDT", "mine"),
        decision_id("another_bot", "BTCUSDT", "mine"),
        decision_id("momentum_bot", "BTCUSDT", "mine", "run-1"),
    }
    assert len(ids) == 5


def test_a_replay_is_dated_and_named_by_its_original_and_has_ids_of_its_own() -> None:
    again = resolved(replayed(FOUNDING))
    assert again.context_id == "contexts/1/5@1600000000000"
    assert (again.received_at_ms, again.as_of_ms) == (1_600_000_000_000, 1_600_000_000_000)
    assert (again.run_id, str(again.src)) == ("run-1", "replay.contexts/3/17")
    assert again.decision_id == decision_id("momentum_bot", "BTCUSDT", again.context_id, "run-1")


def test_a_replay_is_never_over_and_still_says_until_when_its_original_was_valid() -> None:
    again = resolved(replayed(body(ttl_ms=7)))
    assert again.valid_until_ms == 1_600_000_000_007
    assert (again.is_over(LOGGED_MS), again.left_ms(LOGGED_MS)) == (False, None)
    assert question(ttl_ms=7).left_ms(LOGGED_MS + 2) == 5


@pytest.mark.parametrize("run_id", ["", "a b", "r" * 129, "ü"])
def test_a_replay_names_its_run(run_id: str) -> None:
    with pytest.raises(Rejected, match="which names the replay") as caught:
        resolved(replayed(FOUNDING, run_id=run_id))
    assert caught.value.field == "run-id"
    nameless = record(FOUNDING, topic="replay.contexts")
    with pytest.raises(Rejected, match="which names the replay"):
        resolved(nameless)


@pytest.mark.parametrize(("fields", "extra"), [({"max_age_ms": 100}, ""), ({}, "[defaults]\nmax_age_ms = 100\n")])
def test_a_live_context_older_than_it_may_be_is_refused(fields: dict[str, int], extra: str) -> None:
    resolved(record(body(as_of=LOGGED_MS - 100, **fields)), extra)
    old = body(as_of=LOGGED_MS - 101, context_id="mine", **fields)
    with pytest.raises(Rejected, match="max_age_ms 100") as caught:
        resolved(record(old), extra)
    assert (caught.value.field, caught.value.envelope.context_id) == ("as_of", "mine")
    resolved(replayed({**old, "as_of": 1_500_000_000_000}), extra)
