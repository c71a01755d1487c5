"""What outcomes weigh is added up from their bytes alone."""

from __future__ import annotations

import pytest

from schemas.record import Record
from schemas.refusal import Reason
from tests.support import feed
from tests.support.weights import weight, wrong_sum
from tests.unit.trading_llm.good_log import context, dead_letter, outcome

pytestmark = pytest.mark.unit


def weighty(offset: int) -> Record:
    (body,) = feed.bodies(1, 1, seed=offset)
    return context(offset, experiment=body["experiment"])


CONTEXTS = [weighty(offset) for offset in range(3)]
OUTCOMES = [outcome(CONTEXTS[0], 0), outcome(CONTEXTS[1], 1), dead_letter(CONTEXTS[2], 0, Reason.UNDECIDABLE)]


def test_a_decision_and_a_dead_letter_weigh_what_their_context_does() -> None:
    weights = [weight(each) for each in CONTEXTS]
    assert len(set(weights)) == 3 and all(weights)
    assert [weight(each) for each in OUTCOMES] == weights
    assert wrong_sum(CONTEXTS, OUTCOMES) is None


@pytest.mark.parametrize(
    "outcomes", [OUTCOMES[1:], [*OUTCOMES, OUTCOMES[0]], [OUTCOMES[0], OUTCOMES[0], OUTCOMES[2]]], ids=["less", "more", "another"]
)
def test_a_sum_that_differs_is_told(outcomes: list[Record]) -> None:
    assert wrong_sum(CONTEXTS, outcomes) is not None


def test_what_carries_no_weight_weighs_nothing() -> None:
    assert weight(context(0)) == 0
