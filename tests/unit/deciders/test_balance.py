"""Who takes a question: the model that was named, unless it is out, would be late, or another is much freer."""

from __future__ import annotations

import pytest

from deciders.balance import WAIT_MS_MIN
from deciders.features import Features
from deciders.fleet import Fleet, Standing
from deciders.routing import Chosen, NoModel, choose_model
from schemas.policy import Policy
from schemas.route import Candidate
from schemas.status import HealthState
from tests.unit.samples import CATALOGUE, LOGGED_MS, POLICY_TEXT, question

pytestmark = pytest.mark.unit

NOW_MS = LOGGED_MS + 10  # 59,990 ms before the question is over
WILD = Features(volatility_high=True)  # named: qwen; its chain ends at deepseek, the default
OUT = Standing(HealthState.OPEN, "hung 5")


def rules(alternatives: str = "[]", factor: float = 2.0) -> Policy:
    text = POLICY_TEXT.replace('model = "qwen"', f'model = "qwen"\nalternatives = {alternatives}')
    return Policy.from_toml(f"{text}\n[balance]\nfactor = {factor}\n")


def free(waiting: int = 0, service_ms: float | None = 100.0, state: HealthState = HealthState.HEALTHY) -> Standing:
    return Standing(state, waiting=waiting, concurrency=10, service_ms=service_ms)


def choose(policy: Policy | None = None, fallback: bool = True, **standings: Standing) -> Chosen | NoModel:
    fleet = Fleet(CATALOGUE, standings, NOW_MS)
    return choose_model(question(fallback=fallback), WILD, policy or rules(), fleet, CATALOGUE)


def model(choice: Chosen | NoModel) -> str | None:
    return choice.model if isinstance(choice, Chosen) else None


@pytest.mark.parametrize("state", [HealthState.HEALTHY, HealthState.DEGRADED])
def test_one_that_is_well_or_weak_is_asked(state: HealthState) -> None:
    choice = choose(qwen=free(state=state))
    assert (model(choice), choice.route.reason) == ("qwen", "volatility_high → qwen")


@pytest.mark.parametrize("state", [HealthState.OPEN, HealthState.DOWN])
def test_one_that_is_out_is_replaced_from_its_chain_with_the_reason(state: HealthState) -> None:
    choice = choose(qwen=Standing(state, "hung 5"))
    assert (model(choice), choice.chosen) == ("deepseek", "qwen")
    assert f"; qwen is {state} (hung 5), so deepseek of its fallback chain is asked" in choice.route.reason
    assert choice.route.candidates[0] == Candidate(model="qwen", state=state)


def test_one_that_is_tried_out_is_asked_while_it_has_probes() -> None:
    assert model(choose(qwen=Standing(HealthState.PROBING, probes_left=1))) == "qwen"
    beyond = choose(qwen=Standing(HealthState.PROBING))
    assert model(beyond) == "deepseek" and "qwen is PROBING, and its probes are out" in beyond.route.reason


def test_where_all_are_out_nobody_is_asked_and_each_is_named() -> None:
    choice = choose(qwen=OUT, deepseek=Standing(HealthState.DOWN, "gone"))
    assert isinstance(choice, NoModel)
    assert choice.reason.endswith("can be asked: qwen is OPEN (hung 5), deepseek is DOWN (gone)")
    alone = choose(fallback=False, qwen=OUT)
    assert isinstance(alone, NoModel) and "and fallback is false" in alone.reason


def test_one_that_would_be_late_gives_way_to_the_first_that_would_not() -> None:
    choice = choose(qwen=free(6_000), deepseek=free(10))
    assert model(choice) == "deepseek"
    assert "; qwen would answer in 60100 ms, and 59990 ms are left, so deepseek (200 ms) is asked" in choice.route.reason
    declared = choose(rules('["phi3"]'), qwen=free(6_000), deepseek=free(), phi3=free())
    assert model(declared) == "phi3"


def test_one_that_takes_too_long_by_itself_is_late_too() -> None:
    assert model(choose(qwen=free(0, service_ms=60_000.0))) == "deepseek"


def test_one_that_would_be_late_is_asked_where_no_other_would_be_in_time() -> None:
    choice = choose(qwen=free(6_000), deepseek=free(7_000))
    assert model(choice) == "qwen" and choice.route.reason.endswith("but no other would be in time")
    assert model(choose(qwen=free(6_000), deepseek=OUT)) == "qwen"
    assert model(choose(fallback=False, qwen=free(6_000))) == "qwen"


def test_one_that_is_crowded_gives_way_to_a_declared_alternative_only() -> None:
    assert model(choose(qwen=free(100), deepseek=free())) == "qwen"
    choice = choose(rules('["phi3", "fingpt"]'), qwen=free(100), phi3=free(30), fingpt=free(20))
    assert model(choice) == "fingpt"
    assert "; qwen's expected wait is 1000 ms, more than 2 times fingpt's 200 ms, so fingpt is asked" in choice.route.reason
    assert [(each.model, each.expected_wait_ms) for each in choice.route.candidates] == [
        ("qwen", 1000), ("phi3", 300), ("fingpt", 200), ("deepseek", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("factor", "asked"), [(2.0, "phi3"), (4.0, "qwen")])
def test_the_policys_factor_says_how_much_freer_an_alternative_must_be(factor: float, asked: str) -> None:
    assert model(choose(rules('["phi3"]', factor), qwen=free(100), phi3=free(30))) == asked


def test_waits_too_short_to_matter_move_nothing() -> None:
    assert model(choose(rules('["phi3"]'), qwen=free(int(WAIT_MS_MIN / 10)), phi3=free())) == "qwen"


def test_an_alternative_that_is_out_or_unknown_takes_nothing() -> None:
    assert model(choose(rules('["phi3"]'), qwen=free(100), phi3=OUT)) == "qwen"
    assert model(choose(rules('["phi3"]'), qwen=free(100), phi3=free(service_ms=None))) == "qwen"


def test_without_fallback_no_alternative_takes_it() -> None:
    assert model(choose(rules('["phi3"]'), fallback=False, qwen=free(100), phi3=free())) == "qwen"


def test_one_that_was_slow_is_tried_out_whatever_its_last_answers_took() -> None:
    """Else it would never get the probe that shows that it is fast again: who is not asked says nothing new."""
    slow = Standing(HealthState.PROBING, probes_left=2, service_ms=60_000.0)
    assert model(choose(qwen=slow, deepseek=free())) == "qwen"


def test_one_that_is_out_is_replaced_by_the_first_of_its_chain_that_would_be_in_time() -> None:
    chained = Policy.from_toml(f'{POLICY_TEXT}\nqwen = ["phi3", "deepseek"]\n')
    assert model(choose(chained, qwen=OUT, phi3=free(10), deepseek=free())) == "phi3"
    choice = choose(chained, qwen=OUT, phi3=free(6_000), deepseek=free())
    assert model(choice) == "deepseek", choice.route.reason
    assert model(choose(chained, qwen=OUT, phi3=free(6_000), deepseek=free(7_000))) == "phi3"


def test_where_all_of_four_are_out_each_is_named_in_what_a_decision_can_hold() -> None:
    why = "of 10 attempts in 30 s answered 4, hung 3, late 3"
    chained = Policy.from_toml(f'{POLICY_TEXT}\nqwen = ["phi3", "fingpt", "deepseek"]\n')
    choice = choose(chained, **{name: Standing(HealthState.OPEN, why) for name in CATALOGUE})
    for name in CATALOGUE:
        assert f"{name} is OPEN" in choice.route.reason, choice.route.reason
