"""Each record of `contexts` comes to exactly one output: a hop, a decision that needs no model, or a dead letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deciders.dedupe import Dedupe
from deciders.features import Features
from deciders.fleet import Fleet
from deciders.judge import World, judge, remember
from deciders.routing import Chosen, NoModel, choose_model
from schemas.decision import Decision
from schemas.halt import Halt, HaltMode
from schemas.headers import CONTEXT_ID, REASON, SRC, header_text
from schemas.policy import Policy
from schemas.question import Question, decision_id
from schemas.record import Output, Record
from schemas.tagged import question_from_tag
from tests.unit.samples import CATALOGUE, LOGGED_MS, body, policy, record, replayed

pytestmark = pytest.mark.unit

POLICY = policy()
NOW_MS = LOGGED_MS + 20


def choose(question: Question, features: Features, rules: Policy, fleet: Fleet) -> Chosen | NoModel:
    return choose_model(question, features, rules, fleet, CATALOGUE)


def world(*running: str, halt: Halt | None = None) -> World:
    return World(POLICY, Fleet(running or CATALOGUE), choose, lambda question: halt)


def at(offset: int, value: object, key: bytes | None = b"momentum_bot:BTCUSDT") -> Record:
    made = record(value, key=key)
    return replace(made, source=replace(made.source, offset=offset))


def judged(came: Record, dedupe: Dedupe | None = None, now_ms: int = NOW_MS, seen: World | None = None) -> Output:
    (output,) = judge(came, dedupe or Dedupe(10), seen or world(), now_ms).outputs
    assert header_text(output.headers, SRC) == str(came.source)
    return output


def decision(output: Output) -> Decision:
    assert output.topic == "decisions"
    return Decision.from_bytes(output.value)


def test_a_sound_context_goes_to_its_model_with_its_bytes_unchanged() -> None:
    came = record(body(context_id="c1"))
    output = judged(came)
    assert (output.topic, output.value, output.key) == ("contexts.deepseek", came.value, b"momentum_bot:BTCUSDT")
    question, tag = question_from_tag(Record(came.source, output.key, output.value, output.headers, NOW_MS))
    assert (question.context_id, question.valid_until_ms) == ("c1", LOGGED_MS + 60_000)
    assert (tag.chosen, tag.routed_at_ms, tag.route.policy) == ("deepseek", NOW_MS, POLICY.digest)


def replay(offset: int, run_id: str = "run-1", **fields: Any) -> Record:
    made = replayed(body(context_id="c1", **fields), run_id=run_id)
    return replace(made, source=replace(made.source, offset=offset))


def test_a_replay_is_decided_once_in_its_run_and_once_in_another() -> None:
    dedupe = Dedupe(10)
    assert judged(replay(0), dedupe).topic == "replay.contexts.deepseek"
    repeated = judged(replay(1), dedupe)
    assert (repeated.topic, header_text(repeated.headers, REASON)) == ("replay.dlq", "duplicate_context_id")
    other = judged(replay(2, run_id="run-2"), dedupe)
    assert (other.topic, header_text(other.headers, "run-id")) == ("replay.contexts.deepseek", "run-2")


def test_a_replay_without_a_run_is_told_so_under_an_id_of_its_own() -> None:
    output = judged(record(body(context_id="c1"), topic="replay.contexts"))
    made = Decision.from_bytes(output.value)
    assert (output.topic, made.status) == ("replay.decisions", "REJECTED")
    assert made.reason is not None and made.reason.startswith("run-id: must be a header of 1 to 128")
    assert made.decision_id != decision_id("momentum_bot", "BTCUSDT", "c1")


def test_a_replays_times_are_its_own_and_not_its_originals() -> None:
    nobody = Decision.from_bytes(judged(replay(0, fallback=False), seen=world("phi3")).value)
    assert (nobody.status, nobody.timings_ms.total, nobody.as_of) == ("ABSTAINED_NO_MODEL", 20, "2020-09-13T12:26:40.000Z")


def test_the_rules_choose() -> None:
    assert judged(record(body(context={"price": 1, "volatility": 0.9}))).topic == "contexts.qwen"
    assert judged(record(body(context={"price": 1, "sentiment": -0.9}))).topic == "contexts.phi3"


def test_what_cannot_be_read_is_dead() -> None:
    output = judged(record(b"no json"))
    assert (output.topic, header_text(output.headers, REASON)) == ("contexts.dlq", "not_json")


def test_what_breaks_the_contract_is_told_to_its_bot() -> None:
    made = decision(judged(record(body(context_id="c1", colour="red"))))
    assert (made.status, made.reason, made.context_id) == ("REJECTED", "colour: is an unknown field", "c1")


@pytest.mark.parametrize("as_of", ["9999-12-31T23:59:59.999-23:59", "0001-01-01T00:00:00+23:59"])
@pytest.mark.parametrize("context", [{"price": 45000}, {"price": "high"}])
def test_a_moment_that_nobody_can_write_is_rejected_whatever_else_is_wrong(as_of: str, context: dict[str, Any]) -> None:
    made = decision(judged(record(body(as_of=as_of, context=context))))
    assert (made.status, made.as_of) == ("REJECTED", None)


def test_a_model_that_is_in_no_catalogue_is_rejected() -> None:
    made = decision(judged(record(body(model_preference="gpt"))))
    assert made.status == "REJECTED" and (made.reason or "").startswith("model_preference")


def test_a_context_that_is_too_old_is_rejected() -> None:
    assert decision(judged(record(body(as_of=LOGGED_MS - 5_000, max_age_ms=1_000)))).status == "REJECTED"


def test_a_context_whose_time_has_passed_is_expired_unrouted() -> None:
    assert decision(judged(record(body()), now_ms=LOGGED_MS + 60_000)).status == "EXPIRED"
    assert judged(record(body()), now_ms=LOGGED_MS + 59_999).topic == "contexts.deepseek"


def test_a_full_halt_ends_it_here_and_a_reducing_one_lets_it_on() -> None:
    made = decision(judged(record(body()), seen=world(halt=Halt(why="exchange is down"))))
    assert made.status == "HALTED" and "exchange is down" in (made.reason or "")
    assert judged(record(body()), seen=world(halt=Halt(mode=HaltMode.REDUCE_ONLY))).topic == "contexts.deepseek"


def test_without_a_model_to_ask_it_abstains() -> None:
    made = decision(judged(record(body(model_preference="phi3", fallback=False)), seen=world("deepseek")))
    assert made.status == "ABSTAINED_NO_MODEL"


def test_an_id_sent_twice_is_decided_once() -> None:
    dedupe = Dedupe(10)
    first, again, other = (at(n, body(context_id="c1", horizon_s=h)) for n, h in ((1, 60), (2, 60), (3, 90)))
    assert judged(first, dedupe).topic == "contexts.deepseek"
    letter = judged(again, dedupe)
    assert header_text(letter.headers, REASON) == "duplicate_context_id"
    assert header_text(letter.headers, CONTEXT_ID) == "c1"
    assert header_text(judged(other, dedupe).headers, REASON) == "context_id_reused"


def test_an_expired_or_rejected_context_has_used_its_id_up() -> None:
    dedupe = Dedupe(10)
    wrong = body(context_id="c1", colour="red")
    assert decision(judged(at(1, wrong), dedupe)).status == "REJECTED"
    assert header_text(judged(at(2, wrong), dedupe).headers, REASON) == "duplicate_context_id"
    assert header_text(judged(at(3, body(context_id="c1")), dedupe).headers, REASON) == "context_id_reused"


def test_contexts_without_an_id_are_never_repeats() -> None:
    dedupe = Dedupe(10)
    outputs = [judged(at(n, body()), dedupe) for n in range(3)]
    assert {each.topic for each in outputs} == {"contexts.deepseek"}
    assert len({header_text(each.headers, CONTEXT_ID) for each in outputs}) == 3


def test_a_lane_that_was_claimed_again_does_not_find_its_own_record_a_repeat() -> None:
    dedupe = Dedupe(10)
    came = at(5, body(context_id="c1"))
    judged(came, dedupe)
    dedupe.forget_from(5)
    assert judged(came, dedupe).topic == "contexts.deepseek"


@pytest.mark.parametrize("value", [body(context_id="c1"), body(context_id="c1", colour="red"), b"no json", body(bot_id="a b")])
def test_remembering_is_what_judging_would_have_left(value: Any) -> None:
    judging, remembering = Dedupe(10), Dedupe(10)
    judged(at(1, value), judging)
    remember(at(1, value), remembering)
    assert remembering._names == judging._names
    remember(at(2, value), remembering)  # a repeat is no error


def test_a_record_without_a_key_is_keyed_from_its_body() -> None:
    assert judged(at(1, body(), key=None)).key == b"momentum_bot:BTCUSDT"
