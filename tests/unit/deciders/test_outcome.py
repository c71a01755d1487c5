"""Each way a context can end has a whole decision of its own."""

from __future__ import annotations

from typing import Any

import pytest

from deciders.limits import Bounds, clamp
from deciders.outcome import (
    Moment,
    Said,
    answered,
    bad_output,
    expired,
    halted,
    no_model,
    rejected,
)
from deciders.routing import NoModel
from schemas.context import read_context
from schemas.decision import (
    Action,
    Decision,
    FailedGeneration,
    Generation,
    ModelUsed,
    Probs,
    Proposed,
    Status,
    Timings,
    Tokens,
)
from schemas.halt import TRADING_DISABLED
from schemas.question import decision_id
from schemas.record import Record
from schemas.refusal import Rejected
from schemas.route import Attempt, Route
from tests.unit.samples import FOUNDING, LOGGED_MS, body, policy, question, record, replayed

pytestmark = pytest.mark.unit

NOW = Moment(LOGGED_MS + 100, Timings(routed=2.0, waited=3.0, answered=90.0, total=100.0))
ROUTE = Route(rule="default", policy="p", attempts=(Attempt(model="qwen", outcome="answered", ms=90.0),))


def said(**fields: Any) -> Said:
    known: dict[str, Any] = {
        "model": ModelUsed(name="qwen", id="Q", revision="r", engine="scripted"),
        "proposed": Proposed(action=Action.BUY, size_pct=0.5),
        "confidence": 0.9,
        "confidence_source": "label",
        "probs": Probs(BUY=0.9, SELL=0.1, HOLD=0.0, CLOSE=0.0),
        "rationale": "It rises.",
        "tokens": Tokens(prompt=200, cached=100, completion=40),
        "generation": Generation(text="{}"),
    }
    return Said(**(known | fields))


def decided(answer: Said | None = None) -> Decision:
    asked, answer = question(), answer or said()
    bounds = Bounds(policy(), "qwen", 0.7, None, NOW.decided_at_ms)
    return answered(asked, ROUTE, answer, clamp(answer.proposed, answer.confidence, asked, bounds), NOW)


def refusal_of(came: Record) -> Decision:
    with pytest.raises(Rejected) as caught:
        read_context(came)
    return rejected(came, caught.value, policy(), NOW.decided_at_ms)


def test_an_answer_that_stands_carries_its_whole_trail() -> None:
    one, asked = decided(), question()
    assert (one.status, one.action, one.size_pct, one.acts) == (Status.DECIDED, Action.BUY, 0.02, True)
    assert (one.decision_id, one.context_id, one.content_digest) == (
        asked.decision_id,
        asked.context_id,
        asked.content_digest,
    )
    assert (one.as_of, one.decided_at, one.valid_until) == (
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:20.100Z",
        "2023-11-14T22:14:20.000Z",
    )
    assert (one.price_ref, one.horizon_s, one.timings_ms) == (45000, 900, NOW.timings)
    assert one.proposed == Proposed(action=Action.BUY, size_pct=0.5)
    assert one.route == ROUTE.model_copy(update={"threshold": 0.7})
    assert {clamp.limit for clamp in one.clamps} == {"max_position_pct", "position_unknown"}


def test_limits_never_touch_what_the_model_said() -> None:
    low = said(confidence=0.3)
    one = decided(low)
    assert (one.status, one.confidence, one.proposed, one.probs) == (
        Status.ABSTAINED_LOW_CONFIDENCE,
        0.3,
        low.proposed,
        low.probs,
    )
    assert (one.action, one.size_pct, one.rationale) == (Action.HOLD, 0.0, "It rises.")


@pytest.mark.parametrize("confidence", [None, float("nan"), float("inf")])
def test_a_confidence_that_is_no_number_is_left_out_with_its_source(confidence: float | None) -> None:
    one = decided(said(confidence=confidence))
    assert (one.confidence, one.confidence_source) == (None, None)
    assert one.status is Status.ABSTAINED_LOW_CONFIDENCE


def test_where_no_model_answered_there_is_no_confidence() -> None:
    asked = question(experiment="e")
    failed = Generation(failed=(FailedGeneration(model="qwen", why="hung"),))
    endings = {
        Status.EXPIRED: expired(asked, ROUTE, NOW),
        Status.HALTED: halted(asked, ROUTE, TRADING_DISABLED, NOW),
        Status.ABSTAINED_NO_MODEL: no_model(asked, NoModel("qwen", "why", Route(reason="why")), NOW),
        Status.ABSTAINED_BAD_OUTPUT: bad_output(asked, ROUTE, NOW, failed),
    }
    for status, one in endings.items():
        assert (one.status, one.action, one.size_pct, one.experiment) == (status, Action.HOLD, 0.0, "e")
        assert (one.model, one.confidence, one.confidence_source, one.probs) == (None, None, None, None)
        assert one.valid_until is not None
        assert Decision.from_bytes(one.to_bytes()) == one
    assert endings[Status.ABSTAINED_BAD_OUTPUT].generation == failed
    assert endings[Status.ABSTAINED_NO_MODEL].route.reason == "why"


def test_a_halt_says_which_and_why() -> None:
    one = halted(question(), ROUTE, TRADING_DISABLED, NOW)
    assert one.reason == "halt settings (full): ENABLE_LLM_TRADING is false"
    assert one.route.halt == TRADING_DISABLED


def test_an_answer_that_came_too_late_is_kept_beside_its_expiry() -> None:
    one = expired(question(), ROUTE, NOW, said())
    assert (one.status, one.confidence, one.generation) == (Status.EXPIRED, 0.9, Generation(text="{}"))


def test_a_refusal_names_the_field_and_the_rule() -> None:
    one = refusal_of(record(body(context={"price": -1}, context_id="mine", horizon_s=5, experiment="e")))
    assert (one.status, one.reason) == (Status.REJECTED, "context.price: must be greater than 0")
    assert (one.context_id, one.horizon_s, one.experiment) == ("mine", 5, "e")
    assert one.decision_id == decision_id("momentum_bot", "BTCUSDT", "mine")
    assert (one.as_of, one.valid_until, one.price_ref) == ("2023-11-14T22:13:20.000Z", None, None)


@pytest.mark.parametrize("context_id", ["", "x" * 129, 7, ["a"], {"a": 1}, True])
def test_where_the_id_is_what_breaks_the_contract_the_decision_carries_the_default_one(context_id: object) -> None:
    one = refusal_of(record(body(context_id=context_id)))
    assert one.context_id == f"contexts/3/17@{LOGGED_MS}"


def test_a_refused_as_of_is_the_only_one_that_is_null() -> None:
    assert refusal_of(record(body(as_of="yesterday"))).as_of is None
    assert refusal_of(record(body(surprise=1))).as_of is not None


def test_a_refusal_in_a_replay_has_the_runs_id_and_the_originals_name() -> None:
    one = refusal_of(replayed({**FOUNDING, "surprise": 1}))
    assert one.context_id == "contexts/1/5@1600000000000"
    assert one.decision_id == decision_id("momentum_bot", "BTCUSDT", one.context_id, "run-1")
