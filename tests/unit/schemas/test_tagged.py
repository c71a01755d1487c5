"""What the router writes to a model is what the worker reads, with no clock asked."""

from __future__ import annotations

import pytest

from schemas import headers as names
from schemas.context import read_context
from schemas.decision import FailedGeneration, failed_of
from schemas.question import resolve
from schemas.record import Output, Record
from schemas.refusal import DeadLettered, Reason
from schemas.route import Attempt, Candidate, Route, Tag
from schemas.size import ATTEMPTS_MAX
from schemas.source import Source
from schemas.status import HealthState
from schemas.tagged import Hop, question_from_tag, tag_for
from tests.unit.samples import FOUNDING, LOGGED_MS, body, policy, record, replayed

pytestmark = pytest.mark.unit

ROUTE = Route(
    rule="volatility",
    policy="p" * 64,
    reason="volatility_high → qwen",
    features={"has_position": "unknown", "high_volume": True, "volatility": 1.25, "sentiment": None},
    candidates=(Candidate(model="qwen", state=HealthState.HEALTHY),),
    propensity=1.0,
)


def arrived(output: Output) -> Record:
    return Record(Source(output.topic, 2, 99), output.key, output.value, output.headers, LOGGED_MS + 50)


def sent(came: Record) -> Output:
    question = resolve(read_context(came), came, policy())
    return Hop(came, question, "qwen", tag_for(question, "qwen", ROUTE, LOGGED_MS + 3)).output


def test_a_context_goes_on_unchanged_with_its_tag_beside_it() -> None:
    came = record(FOUNDING, headers=((names.TRACEPARENT, b"00-aa-bb-01"), ("own", b"1"), (names.ROUTE, b"forged")))
    output = sent(came)
    assert (output.topic, output.key, output.value) == ("contexts.qwen", b"momentum_bot:BTCUSDT", came.value)
    assert dict(output.headers) == {
        "src": b"contexts/3/17",
        "context-id": f"contexts/3/17@{LOGGED_MS}".encode(),
        "route": names.header(output.headers, "route"),
        "content-type": b"application/json",
        "schema": b"context/1",
        "traceparent": b"00-aa-bb-01",
        "own": b"1",
    }


@pytest.mark.parametrize(
    "came",
    [
        record(FOUNDING, key=b"k"),
        record(body(context_id="\x00 ü/%", as_of=LOGGED_MS - 1234, ttl_ms=0, horizon_s=5)),
        replayed(FOUNDING),
    ],
)
def test_the_worker_reads_the_question_that_the_router_asked(came: Record) -> None:
    question = resolve(read_context(came), came, policy())
    read, tag = question_from_tag(arrived(sent(came)))
    assert read == question
    assert tag == tag_for(question, "qwen", ROUTE, LOGGED_MS + 3)


def test_a_replay_stays_in_the_replays_topics() -> None:
    output = sent(replayed(FOUNDING))
    assert output.topic == "replay.contexts.qwen"
    assert names.header(output.headers, names.RUN_ID) == b"run-1"


@pytest.mark.parametrize(("came", "topic"), [(record(FOUNDING), "replay.contexts.qwen"), (replayed(FOUNDING), "contexts.qwen")])
def test_what_names_a_context_of_the_other_side_is_nobodys(came: Record, topic: str) -> None:
    """Its outcome would go where its source lies: a replay must not answer a live context, nor the other way round."""
    output = sent(came)
    with pytest.raises(DeadLettered, match="not of the same side") as caught:
        question_from_tag(Record(Source(topic, 0, 0), output.key, output.value, output.headers, LOGGED_MS))
    assert caught.value.reason is Reason.UNDECIDABLE


def test_a_context_handed_on_keeps_its_question_and_adds_its_trail() -> None:
    first = arrived(sent(record(FOUNDING, headers=(("own", b"1"),))))
    question, tag = question_from_tag(first)
    failure = FailedGeneration(model="qwen", why="cut_off", text='{"action":')
    gone_on = tag.with_route(tag.route.tried(Attempt(model="qwen", outcome="failed:cut_off", ms=12.5)))
    second = arrived(Hop(first, question, "deepseek", gone_on, (failure,)).output)
    again, tag_again = question_from_tag(second)
    assert again == question
    assert tag_again.route.attempts == (Attempt(model="qwen", outcome="failed:cut_off", ms=12.5),)
    assert (tag_again.chosen, second.source.topic) == ("qwen", "contexts.deepseek")
    assert failed_of(second) == (failure,)
    assert failed_of(first) == ()
    assert names.header(second.headers, "own") == b"1"
    assert len([name for name, _ in second.headers if name == names.SRC]) == 1


def test_the_trail_is_bounded() -> None:
    route = ROUTE
    for _ in range(ATTEMPTS_MAX + 5):
        route = route.tried(Attempt(model="qwen", outcome="failed:raised"))
    assert len(Route.model_validate(route.model_dump()).attempts) == ATTEMPTS_MAX


@pytest.mark.parametrize("broken", [names.SRC, names.ROUTE])
def test_somebody_elses_record_is_a_dead_letter(broken: str) -> None:
    output = sent(record(FOUNDING))
    headers = tuple((name, b"junk" if name == broken else value) for name, value in output.headers)
    with pytest.raises(DeadLettered) as caught:
        question_from_tag(Record(Source("contexts.qwen", 0, 0), None, output.value, headers, LOGGED_MS))
    assert caught.value.reason is Reason.UNDECIDABLE


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"chosen":1}', b"\xff"])
def test_what_is_no_tag_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Tag.from_bytes(value)
