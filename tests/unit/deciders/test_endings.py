"""What decisions say of the models: an answer, a failure, a lack of time, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from deciders.endings import Ending, endings_of
from schemas.decision import Decision, Status
from schemas.route import Attempt, Candidate, Route
from schemas.status import HealthState

pytestmark = pytest.mark.unit


def said(*attempts: tuple[str, str], status: Status = Status.ABSTAINED_BAD_OUTPUT, **route: Any) -> tuple[Ending, ...]:
    decision = Decision(
        decision_id="d", context_id="c", content_digest="0", bot_id="b", symbol="S", horizon_s=1, status=status,
        route=Route(attempts=tuple(Attempt(model=model, outcome=outcome, ms=7.5) for model, outcome in attempts), **route),
        as_of="2026-01-01T00:00:00.000Z", decided_at="2026-01-01T00:00:00.000Z", valid_until="2026-01-01T00:00:00.000Z",
    )  # fmt: skip
    return endings_of(decision.to_bytes())


def test_each_attempt_is_an_ending_of_its_model() -> None:
    found = said(("phi3", "failed:raised"), ("qwen", "failed:cut_off"), ("deepseek", "answered"), status=Status.DECIDED)
    assert found == (Ending("phi3", "raised", 7.5), Ending("qwen", "bad", 7.5), Ending("deepseek", "answered", 7.5))


def test_what_needed_no_model_says_nothing() -> None:
    assert said(status=Status.EXPIRED) == said(status=Status.HALTED) == ()


def test_time_that_ran_out_is_no_hang() -> None:
    assert said(("phi3", "failed:hung"), status=Status.EXPIRED) == (Ending("phi3", "late", 7.5),)
    assert said(("phi3", "failed:hung")) == (Ending("phi3", "hung", 7.5),)
    assert said(("phi3", "failed:hung"), ("deepseek", "failed:hung"), status=Status.EXPIRED) == (
        Ending("phi3", "hung", 7.5),
        Ending("deepseek", "late", 7.5),
    )


def test_an_answer_that_expired_on_its_way_out_was_given_all_the_same() -> None:
    assert said(("phi3", "answered"), status=Status.EXPIRED) == (Ending("phi3", "answered", 7.5),)


def test_a_model_that_was_chosen_while_it_was_tried_out_was_probed() -> None:
    candidates = (Candidate(model="phi3", state=HealthState.PROBING), Candidate(model="qwen", state=HealthState.HEALTHY))
    (first, second) = said(("phi3", "failed:raised"), ("qwen", "answered"), candidates=candidates)
    assert (first.probe, second.probe) == (True, False)


def test_a_rescue_says_nothing_of_the_model_it_was_taken_from() -> None:
    assert said(("phi3", "rescued")) == ()


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"status": 1, "route": 2}'])
def test_what_is_no_decision_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):
        endings_of(value)


def test_what_was_handed_to_a_model_that_is_tried_out_is_no_probe_unless_a_rescue_sent_it_there() -> None:
    candidates = (Candidate(model="qwen", state=HealthState.HEALTHY), Candidate(model="deepseek", state=HealthState.PROBING))
    assert [each.probe for each in said(("qwen", "failed:raised"), ("deepseek", "answered"), candidates=candidates)] == [
        False,
        False,
    ]
    assert [each.probe for each in said(("qwen", "rescued"), ("deepseek", "answered"), candidates=candidates)] == [True]


@pytest.mark.parametrize(
    "attempt", ['{"model": ["x"], "outcome": "answered", "ms": 1}', '{"model": "x", "outcome": "answered", "ms": "1"}']
)
def test_an_attempt_of_another_form_is_refused(attempt: str) -> None:
    with pytest.raises(ValueError):
        endings_of(f'{{"status": "EXPIRED", "route": {{"candidates": [], "attempts": [{attempt}]}}}}'.encode())
