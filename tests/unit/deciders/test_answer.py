"""An answer is read whole or not at all: what breaks a rule is bad output, named by the rule, and never mended."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deciders.answer import (
    ANSWER_HEAD,
    ANSWER_SCHEMA,
    ANSWER_TAIL,
    LABELS,
    PERCENTS,
    Answer,
    Asked,
    BadAnswer,
    RawAnswer,
    label_probs,
    read_answer,
)
from schemas.action import Action

pytestmark = pytest.mark.unit

ASKED = Asked(symbol="BTCUSDT", price_ref=45_000.0, mode="full", default_size_pct=0.01)
LOGPROBS = {"BUY": math.log(0.8), "SELL": math.log(0.1), "HOLD": math.log(0.06), "CLOSE": math.log(0.04)}
GOOD = {"action": "BUY", "size_percent": 2, "stop_percent": 1, "target_percent": 0.5, "rationale": "Up, so buy."}


def raw(text: str | None = None, **said: Any) -> RawAnswer:
    return RawAnswer(json.dumps({**GOOD, **said}) if text is None else text, LOGPROBS)


def good(answer: RawAnswer, asked: Asked = ASKED) -> Answer:
    read = read_answer(answer, asked)
    assert isinstance(read, Answer)
    return read


def outcome(answer: RawAnswer, asked: Asked = ASKED) -> str:
    read = read_answer(answer, asked)
    assert isinstance(read, BadAnswer)
    return read.outcome


def test_distances_in_percent_become_prices_on_their_side() -> None:
    buy, sell = good(raw()).proposed, good(raw(action="SELL")).proposed
    assert (buy.size_pct, buy.stop_loss, buy.take_profit) == (0.02, 44_550.0, 45_225.0)
    assert (sell.size_pct, sell.stop_loss, sell.take_profit) == (0.02, 45_450.0, 44_775.0)


def test_without_a_price_or_a_distance_there_is_no_stop() -> None:
    proposed = good(raw(stop_percent=0)).proposed
    assert proposed.stop_loss is None and proposed.take_profit is not None
    assert good(raw(), replace(ASKED, price_ref=None)).proposed.stop_loss is None


@pytest.mark.parametrize("action", ["HOLD", "CLOSE"])
def test_hold_and_close_propose_no_size_and_no_stops(action: str) -> None:
    proposed = good(raw(action=action)).proposed
    assert (proposed.size_pct, proposed.stop_loss, proposed.take_profit) == (0.0, None, None)


@given(st.lists(st.floats(min_value=-700, max_value=0), min_size=4, max_size=4))
def test_probabilities_are_the_softmax_over_all_four_labels(values: list[float]) -> None:
    probs = label_probs(dict(zip(LABELS, values, strict=True)))
    found = [probs.of(action) for action in Action]
    assert math.isclose(math.fsum(found), 1.0)
    pairs = zip(values, found, strict=True)
    assert sorted(pairs, key=lambda pair: pair[0]) == sorted(zip(values, found, strict=True))


def test_confidence_is_the_probability_of_what_is_proposed_not_of_the_likeliest() -> None:
    assert math.isclose(good(raw()).confidence, 0.8)
    assert math.isclose(good(raw(action="SELL")).confidence, 0.1)


def test_in_label_mode_the_size_is_the_policys_and_there_is_no_sentence() -> None:
    answer = good(RawAnswer("BUY", LOGPROBS), replace(ASKED, mode="label"))
    assert (answer.proposed.size_pct, answer.rationale) == (0.01, "")
    assert good(RawAnswer("HOLD", LOGPROBS), replace(ASKED, mode="label")).proposed.size_pct == 0.0


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (raw("I would buy."), "raised"),
        (raw('```json\n{"action":"BUY"}\n```'), "raised"),
        (raw(json.dumps(GOOD) + " and more"), "raised"),
        (raw("[1]"), "wrong_count"),
        (raw("[" * 5_000), "raised"),
        (raw('{"action":"BUY"}'), "wrong_count"),
        (raw(extra=1), "wrong_count"),
        (raw(json.dumps(GOOD).replace('"size_percent"', '"action"')), "wrong_count"),
        (raw(action="SHORT"), "raised"),
        (raw(action=["BUY"]), "raised"),
        (raw(size_percent=3), "raised"),
        (raw(size_percent=True), "raised"),
        (raw(size_percent="2"), "raised"),
        (raw(stop_percent=-1), "raised"),
        (raw(json.dumps(GOOD).replace("0.5", "NaN")), "not_finite"),
        (raw(json.dumps(GOOD).replace("0.5", "1e999")), "not_finite"),
        (raw(rationale=7), "raised"),
        (raw(rationale="x" * 281), "too_long"),
        (raw("x" * 20_000), "too_long"),
        (raw(symbol="ETHUSDT"), "wrong_symbol"),
        (replace(raw(), finished=False), "cut_off"),
        (replace(raw(), label_logprobs=None), "wrong_count"),
        (replace(raw(), label_logprobs={"BUY": 0.0}), "wrong_count"),
        (replace(raw(), label_logprobs={**LOGPROBS, "HOLD": math.nan}), "not_finite"),
        (replace(raw(), label_logprobs={**LOGPROBS, "HOLD": -math.inf}), "not_finite"),
    ],
)
def test_what_breaks_a_rule_is_bad_output_by_the_contracts_name(answer: RawAnswer, named: str) -> None:
    assert outcome(answer) == named


def test_the_right_symbol_may_be_named() -> None:
    assert good(raw(symbol="BTCUSDT")).proposed.action is Action.BUY


def test_the_sentence_is_screened() -> None:
    assert good(raw(rationale="Up\u202e,\u0007 so\nbuy.\u200b ")).rationale == "Up, so buy."


@given(st.text())
def test_no_text_whatever_stops_the_reading(text: str) -> None:
    assert isinstance(read_answer(raw(text), ASKED), Answer | BadAnswer)


def test_the_grammar_allows_exactly_what_the_reading_takes() -> None:
    tail = re.compile(ANSWER_TAIL)
    for action in LABELS:
        for size in PERCENTS["size_percent"]:
            said = {**GOOD, "action": action, "size_percent": size}
            text = json.dumps(said, separators=(",", ":"))
            assert tail.fullmatch(text.removeprefix(ANSWER_HEAD))
            assert good(raw(text)).proposed.action == action
    assert tail.fullmatch('SHORT","size_percent":0') is None
    assert list(ANSWER_SCHEMA["required"]) == list(GOOD)
