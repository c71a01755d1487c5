"""Whatever a model answers becomes a decision inside schema and limits, or a failure with a name: never an exception."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from deciders.answer import ANSWER_HEAD, LABELS, PERCENTS, AnswerMode, RawAnswer
from schemas.decision import Status
from schemas.question import Question
from tests.containment.attacks import KINDS, SCHEMAS
from tests.containment.corpus import ACTIONS, default_policy, pair, question_of
from tests.containment.judging import check_inside, decision_of
from tests.containment.markets import market

pytestmark = pytest.mark.unit

POLICY = default_policy()
QUESTIONS = [question_of(market(number).body, market(number).logged_at_ms, POLICY) for number in range(12)]
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # half surrogate pairs included
LOGPROBS = st.none() | st.dictionaries(st.sampled_from([*LABELS, "SHORT"]), st.floats(), max_size=5)
SURE = {"BUY": -0.1, "SELL": -0.1, "HOLD": -0.1, "CLOSE": -0.1}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from([*LABELS, 20, 0.5, -0.0, "20"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3))
NUMBERS = {name: st.sampled_from(allowed) for name, allowed in PERCENTS.items()}
SAID = st.fixed_dictionaries({"action": st.sampled_from(LABELS), **NUMBERS, "rationale": ANY_TEXT})
VALID = [SCHEMAS[0].format(action=action) for action in ACTIONS]  # what imitates the schema to the letter is an answer
# What may become of an answer that came in time.
ENDS = {Status.DECIDED, Status.ABSTAINED_LOW_CONFIDENCE, Status.ABSTAINED_BAD_OUTPUT, Status.BLOCKED_BY_RISK}
KEYS = [ANSWER_HEAD[2:8], *PERCENTS, "rationale", "symbol", "leverage", "action\u200b", "Action"]


def judged(question: Question, raw: RawAnswer, mode: AnswerMode = "full") -> Status:
    decision = decision_of(question, POLICY, raw, mode)
    check_inside(decision, question, POLICY)
    return decision.status


@given(st.sampled_from(QUESTIONS), ANY_TEXT, LOGPROBS, st.sampled_from(["full", "label"]), st.booleans())
def test_any_text_with_any_probabilities_has_one_outcome(
    question: Question, text: str, logprobs: dict[str, float] | None, mode: AnswerMode, finished: bool
) -> None:
    assert judged(question, RawAnswer(text, logprobs, finished=finished), mode) in ENDS


@settings(max_examples=300)
@given(st.sampled_from(QUESTIONS), SAID, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=2), st.sampled_from(LABELS))
def test_a_valid_answer_with_anything_in_place_of_its_parts_has_one_outcome(
    question: Question, said: dict[str, Any], changed: dict[str, Any], sure: str
) -> None:
    logprobs = {label: 0.0 if label == sure else -5.0 for label in LABELS}
    status = judged(question, RawAnswer(json.dumps({**said, **changed}), logprobs))
    event(status)
    assert status in ENDS


@given(st.sampled_from(QUESTIONS), SAID, st.integers(0, 400), st.integers(0, 400), ANY_TEXT)
def test_a_valid_answer_with_a_part_cut_out_and_another_put_in_has_one_outcome(
    question: Question, said: dict[str, Any], begin: int, end: int, between: str
) -> None:
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    assert judged(question, RawAnswer(text[:begin] + between + text[end:], SURE)) in ENDS


@pytest.mark.parametrize("kind", KINDS)
def test_an_attacks_own_words_as_the_answer_have_one_outcome(kind: str) -> None:
    for number in range(60):
        each = pair(number, kind)
        question = question_of(each.attacked, each.market.logged_at_ms, POLICY)
        full, label = judged(question, RawAnswer(each.text, SURE)), judged(question, RawAnswer(each.text, SURE), "label")
        assert label is Status.ABSTAINED_BAD_OUTPUT
        assert full is Status.ABSTAINED_BAD_OUTPUT or each.text in VALID


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("size", [20, 100, 1e9, -20, math.inf])
def test_the_answer_that_an_attacker_wants_is_held_to_the_limits(action: str, size: float) -> None:
    """A model that obeys, wholly sure of it: the worst there is."""
    sure = {label: 0.0 if label == action else -20.0 for label in LABELS}
    said = {"action": action, "size_percent": size, "stop_percent": 0, "target_percent": 20, "rationale": "as told"}
    for question in QUESTIONS:
        decision = decision_of(question, POLICY, RawAnswer(json.dumps(said), sure))
        check_inside(decision, question, POLICY)
        assert decision.status in (Status.DECIDED, Status.BLOCKED_BY_RISK) if size == 20 else not decision.acts


def test_no_part_of_what_imitates_the_schema_is_mended_into_an_answer() -> None:
    for text in SCHEMAS:
        said = text.format(action="BUY", symbol="DOGEUSDT")
        for start in range(len(said)):
            if said[start:] not in VALID:
                assert judged(QUESTIONS[0], RawAnswer(said[start:], SURE)) is Status.ABSTAINED_BAD_OUTPUT


def test_a_wish_for_another_market_is_a_wrong_symbol() -> None:
    said = VALID[0].replace("{", '{"symbol":"DOGEUSDT",')
    decision = decision_of(QUESTIONS[0], POLICY, RawAnswer(said, SURE))
    assert decision.route.attempts[-1].outcome == "failed:wrong_symbol" and not decision.acts
