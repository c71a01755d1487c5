"""A decision is whole, consistent with its status, and bounded whatever goes into it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from deciders.limits import Limited
from deciders.outcome import Moment, Said, answered
from schemas.decision import (
    Action,
    Clamp,
    Decision,
    FailedGeneration,
    Generation,
    GenerationParts,
    ModelUsed,
    Probs,
    Proposed,
    Status,
    Tokens,
    decision_output,
    failed_header,
)
from schemas.halt import Halt
from schemas.record import Headers, Record
from schemas.route import Attempt, Candidate, Route
from schemas.size import (
    ATTEMPTS_MAX,
    CANDIDATES_MAX,
    CLAMPS_MAX,
    HEADERS_BYTES_MAX,
    KEY_BYTES_MAX,
    PASSED_ON_BYTES_MAX,
    VALUE_BYTES_MAX,
    headers_bytes,
)
from schemas.source import Source
from schemas.status import HealthState
from schemas.tagged import Hop, tag_for
from tests.unit.samples import FOUNDING, LOGGED_MS, question, record

pytestmark = pytest.mark.unit

# The fields in the contract's order.
FIELDS = (
    "schema_version, decision_id, context_id, content_digest, bot_id, symbol, horizon_s, experiment, status, action, "
    "size_pct, stop_loss, take_profit, confidence, confidence_source, probs, proposed, rationale, model, route, "
    "clamps, reason, as_of, decided_at, valid_until, price_ref, timings_ms, tokens, generation"
)
NAME = "\x01" * 128  # six bytes a character in JSON
PARTS = GenerationParts(prompt=NAME, tokenizer=NAME, weights=NAME, adapter=NAME, sampling=NAME, schema_=NAME)
FAILED = tuple(FailedGeneration(model=NAME, key=NAME, parts=PARTS, why=NAME, text="\x01" * 5_000) for _ in range(3))


def decision(**fields: Any) -> Decision:
    known: dict[str, Any] = {
        "decision_id": "d",
        "context_id": "c",
        "content_digest": "x",
        "bot_id": "b",
        "symbol": "s",
        "horizon_s": 1,
        "status": Status.DECIDED,
        "route": Route(),
        "as_of": "t",
        "decided_at": "t",
        "valid_until": "t",
    }
    return Decision(**(known | fields))


def largest_route() -> Route:
    """As large as the models of a catalogue, whose names have at most 64 plain characters, can make it."""
    name = "m" * 64
    return Route(
        rule="r" * 64,
        policy="p" * 64,
        reason="\x01" * 1_000,
        features={f"feature_{n}": 1.2345678901234567e-300 for n in range(32)},
        candidates=tuple(
            Candidate(model=name, state=HealthState.DEGRADED, expected_wait_ms=1e300) for _ in range(CANDIDATES_MAX)
        ),
        halt=Halt(scope="s" * 160, why="\x01" * 280, by="\x01" * 128, at="t" * 40),
        attempts=(Attempt(model=name, outcome="failed:engine_died", ms=1e300),) * ATTEMPTS_MAX,
    )


def test_the_fields_stand_in_the_contracts_order() -> None:
    assert ", ".join(json.loads(decision().to_bytes())) == FIELDS


def test_a_decision_reads_as_it_was_written() -> None:
    one = decision(
        action="BUY",
        size_pct=0.01,
        probs=Probs(BUY=0.7, SELL=0.1, HOLD=0.1, CLOSE=0.1),
        proposed=Proposed(action=Action.BUY, size_pct=0.5),
        clamps=(
            Clamp(limit="max_position_pct", before=0.5, after=0.01),
            Clamp(limit="allowed_actions", before=("BUY", "SELL"), after=("BUY",)),
            Clamp(limit="require_stop", before=False, after=True),
        ),
        generation=Generation(parts=PARTS, text="ü" * 20_000, failed=FAILED, trimmed=["x" * 500] * 50),
    )
    assert Decision.from_bytes(one.to_bytes()) == one
    assert "schema" in json.loads(one.to_bytes())["generation"]["parts"]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.DECIDED])
def test_only_what_is_decided_acts(status: Status) -> None:
    assert not decision(status=status).acts
    with pytest.raises(ValidationError, match="must be HOLD"):
        decision(status=status, action="BUY", size_pct=0.01)


def test_a_hold_does_not_act() -> None:
    assert not decision().acts
    assert decision(action="CLOSE", size_pct=1.0).acts


def test_only_a_rejection_may_lack_its_times() -> None:
    decision(status=Status.REJECTED, as_of=None, valid_until=None)
    for missing in ("as_of", "valid_until"):
        with pytest.raises(ValidationError, match="null only"):
            decision(**{missing: None})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_never_goes_out(number: float) -> None:
    for field in ("size_pct", "stop_loss", "take_profit", "confidence", "price_ref"):
        with pytest.raises(ValidationError):
            decision(**{field: number})


def test_probabilities_add_up_to_1() -> None:
    assert Probs(BUY=0.25, SELL=0.25, HOLD=0.25, CLOSE=0.25).of(Action.SELL) == 0.25
    with pytest.raises(ValidationError, match="add up"):
        Probs(BUY=0.25, SELL=0.25, HOLD=0.25, CLOSE=0.5)


def test_texts_are_cut_and_not_refused() -> None:
    one = decision(rationale="\ud800" * 1_000, reason="r" * 1_000, generation=Generation(text="\ud800" * 20_000))
    assert (len(one.rationale), len(one.reason or "")) == (280, 500)
    assert one.generation is not None
    assert len(one.generation.text) == 16 * 1024
    one.to_bytes()


def largest_record() -> Record:
    headers: Headers = (
        ("h", b"x" * (PASSED_ON_BYTES_MAX - 9)),
        ("traceparent", b"t" * 512),
        ("redrive-of", b"r" * 512),
    )
    return record(FOUNDING, key=b"k" * KEY_BYTES_MAX, headers=headers)


def test_the_largest_decision_fits_a_record() -> None:
    asked = question(context_id="\x01" * 128, experiment="\x01" * 128, context={"price": 1e-300})
    used = ModelUsed(name=NAME, id=NAME, revision=NAME, adapter=NAME, engine=NAME)
    proposed = Proposed(action=Action.BUY, size_pct=-1e-300, stop_loss=-1e-300, take_profit=-1e-300)
    generation = Generation(
        key=NAME, parts=PARTS, text="\x01" * 16 * 1024, trimmed=["\x01" * 128] * 32, failed=FAILED, recorded=True
    )
    said = Said(used, proposed, 0.123456789012345, NAME, None, "\x01" * 280, Tokens(), generation)
    clamps = (Clamp(limit="l" * 32, before=tuple(Action), after=-1.2345678901234567e-300),) * CLAMPS_MAX
    limited = Limited(Status.BLOCKED_BY_RISK, 0.7, None, clamps=clamps, reason="\x01" * 500)
    one = answered(asked, largest_route(), said, limited, Moment(LOGGED_MS))
    output = decision_output(largest_record(), Source("contexts", 3, 17), one)
    assert len(output.value) <= VALUE_BYTES_MAX
    assert headers_bytes(output.headers) <= HEADERS_BYTES_MAX


def test_the_largest_tag_fits_a_record() -> None:
    asked = question(context_id="\x01" * 128)
    output = Hop(largest_record(), asked, "qwen", tag_for(asked, "m" * 64, largest_route(), LOGGED_MS), FAILED).output
    assert headers_bytes(output.headers) <= HEADERS_BYTES_MAX
    assert len(failed_header(FAILED * 4)) < HEADERS_BYTES_MAX / 2


def test_a_decision_goes_where_its_question_came_from() -> None:
    came = record(FOUNDING, headers=(("own", b"1"), ("route", b"{}")))
    live = decision_output(came, came.source, decision())
    assert (live.topic, live.key) == ("decisions", b"b:s")
    assert dict(live.headers) == {
        "src": b"contexts/3/17",
        "context-id": b"c",
        "content-type": b"application/json",
        "schema": b"decision/1",
        "own": b"1",
    }
    assert decision_output(came, Source("replay.contexts", 0, 1), decision()).topic == "replay.decisions"
    assert decision_output(record(FOUNDING, key=b"k"), came.source, decision()).key == b"k"
