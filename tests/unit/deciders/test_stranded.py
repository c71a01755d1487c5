"""A context that waits for a model that died is sent on along its chain, or waits, or is told in time that nobody is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deciders.fleet import Fleet, Standing
from deciders.stranded import HOPELESS_MS, Rescued, Stranded, read_stranded
from schemas.context import read_context
from schemas.decision import Decision
from schemas.headers import REASON, SRC, header_text
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.route import Attempt, Route
from schemas.source import Source
from schemas.status import HealthState
from schemas.tagged import Hop, question_from_tag, tag_for
from tests.unit.samples import CATALOGUE, LOGGED_MS, body, policy, record

pytestmark = pytest.mark.unit

POLICY = policy()
DEAD = "fingpt"  # whose chain is qwen, deepseek
VALID_MS = 60_000
NOW_MS = LOGGED_MS + 5_000
OVER_MS = LOGGED_MS + VALID_MS
SRC_OF = Source("contexts", 3, 17)


def fleet(**states: HealthState) -> Fleet:
    known = {DEAD: HealthState.DOWN, **states}
    return Fleet(CATALOGUE, {name: Standing(state, "no worker's heartbeat", probes_left=2) for name, state in known.items()})


def hop(attempts: tuple[Attempt, ...] = (), **fields: Any) -> Record:
    came = record(body(context_id="c1", ttl_ms=VALID_MS, **fields))
    question = resolve(read_context(came), came, POLICY)
    tag = tag_for(question, DEAD, Route(policy=POLICY.digest, reason="a rule", attempts=attempts), LOGGED_MS + 10)
    output = Hop(came, question, DEAD, tag).output
    return Record(Source("contexts.fingpt", 1, 99), output.key, output.value, output.headers, LOGGED_MS + 20)


def rescued(waiting: Record, models: Fleet, now_ms: int = NOW_MS, known: Policy | None = POLICY) -> Rescued | None:
    stranded = read_stranded(waiting, DEAD)
    assert isinstance(stranded, Stranded)
    return stranded.rescued(models, lambda digest: known, now_ms)


def decision(found: Rescued | None) -> Decision:
    assert found is not None
    (output,) = found.result.outputs
    assert (output.topic, header_text(output.headers, SRC)) == ("decisions", str(SRC_OF))
    return Decision.from_bytes(output.value)


def test_the_next_of_the_chain_is_asked_with_the_bytes_unchanged_and_the_trail() -> None:
    waiting = hop()
    found = rescued(waiting, fleet())
    assert found is not None and found.to == "qwen"
    (output,) = found.result.outputs
    assert (output.topic, output.key, output.value) == ("contexts.qwen", waiting.key, waiting.value)
    question, tag = question_from_tag(replace(waiting, headers=output.headers))
    assert (question.src, question.valid_until_ms, tag.chosen) == (SRC_OF, OVER_MS, DEAD)
    assert tag.route.attempts == (Attempt(model=DEAD, outcome="rescued", ms=NOW_MS - LOGGED_MS - 20),)
    assert tag.route.reason == "a rule; fingpt is DOWN (no worker's heartbeat) with it waiting, so qwen is asked"
    assert {each.model: each.state.value for each in tag.route.candidates} == {"fingpt": "DOWN", "qwen": "HEALTHY"}


def test_whoever_is_out_is_passed_over() -> None:
    found = rescued(hop(), fleet(qwen=HealthState.OPEN))
    assert found is not None and found.to == "deepseek"


def test_whoever_was_tried_is_not_asked_again() -> None:
    found = rescued(hop((Attempt(model="qwen", outcome="failed:hung", ms=3),)), fleet())
    assert found is not None and found.to == "deepseek"


def test_a_probe_shows_in_the_route_as_one() -> None:
    found = rescued(hop(), fleet(qwen=HealthState.PROBING))
    assert found is not None and found.to == "qwen"
    _, tag = question_from_tag(replace(hop(), headers=found.result.outputs[0].headers))
    assert tag.route.candidates[1].state is HealthState.PROBING


@pytest.mark.parametrize("alone", [{"fallback": False}, {}])
def test_where_nobody_can_take_it_it_waits_and_is_told_so_just_before_its_deadline(alone: dict[str, Any]) -> None:
    out = fleet(qwen=HealthState.DOWN, deepseek=HealthState.OPEN) if not alone else fleet()
    assert rescued(hop(**alone), out) is None
    assert rescued(hop(**alone), out, OVER_MS - HOPELESS_MS - 1) is None
    made = decision(rescued(hop(**alone), out, OVER_MS - HOPELESS_MS))
    assert (made.status, made.action) == ("ABSTAINED_NO_MODEL", "HOLD")
    assert [(each.model, each.outcome) for each in made.route.attempts] == [(DEAD, "rescued")]
    assert "fingpt is DOWN" in made.route.reason


def test_what_is_over_has_expired_whoever_could_be_asked() -> None:
    made = decision(rescued(hop(), fleet(), OVER_MS))
    assert (made.status, made.route.attempts) == ("EXPIRED", ())


def test_without_its_policy_it_waits_and_still_ends() -> None:
    assert rescued(hop(), fleet(), known=None) is None
    assert decision(rescued(hop(), fleet(), OVER_MS, known=None)).status == "EXPIRED"


def test_what_cannot_be_read_is_undecidable_as_its_worker_would_say() -> None:
    found = read_stranded(replace(hop(), headers=((SRC, str(SRC_OF).encode()),)), DEAD)
    assert isinstance(found, Rescued) and found.to == "undecidable"
    (output,) = found.result.outputs
    assert (output.topic, header_text(output.headers, REASON)) == ("contexts.dlq", "undecidable")
    assert header_text(output.headers, SRC) == str(SRC_OF)


@pytest.mark.parametrize("state", [HealthState.HEALTHY, HealthState.PROBING])
@pytest.mark.parametrize("now_ms", [NOW_MS, OVER_MS - HOPELESS_MS])
def test_what_waits_for_a_model_that_is_back_is_left_to_it(state: HealthState, now_ms: int) -> None:
    """The lane is given back within a moment; meanwhile nobody is told that a model which lives was out with it waiting."""
    assert rescued(hop(), fleet(fingpt=state), now_ms) is None
