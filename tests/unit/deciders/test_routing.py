"""Which model a context goes to: preference, rule, default, chain; and each choice explains itself."""

from __future__ import annotations

from typing import Any

import pytest

from deciders.features import Features, compute_features
from deciders.fleet import Fleet, Standing
from deciders.routing import Chosen, NoModel, choose_model, next_model
from schemas.policy import Policy
from schemas.refusal import Rejected
from schemas.route import Attempt, Candidate, Route
from schemas.size import ATTEMPTS_MAX, CANDIDATES_MAX
from schemas.status import HealthState
from schemas.tagged import tag_for
from tests.unit.samples import CATALOGUE, LOGGED_MS, policy, question

pytestmark = pytest.mark.unit

ALL = Fleet(("deepseek", "qwen", "fingpt", "phi3"))


def choice(features: Features, fleet: Fleet = ALL, rules: Policy | None = None, **fields: Any) -> Chosen | NoModel:
    return choose_model(question(**fields), features, rules or policy(), fleet, CATALOGUE)


def chosen(features: Features, fleet: Fleet = ALL, rules: Policy | None = None, **fields: Any) -> Chosen:
    made = choice(features, fleet, rules, **fields)
    assert isinstance(made, Chosen)
    return made


@pytest.mark.parametrize(
    ("features", "model", "rule"),
    [
        (Features(has_position=True, high_volume=True), "fingpt", "position_and_volume"),
        (Features(True, True, True, True), "fingpt", "position_and_volume"),
        (Features(has_position=True, high_volume=False, volatility_high=True), "qwen", "volatility"),
        (Features(has_position=None, high_volume=True, volatility_high=True), "qwen", "volatility"),
        (Features(volatility_high=False, sentiment_clear=True), "phi3", "sentiment"),
        (Features(), "deepseek", "default"),
        (Features(has_position=True), "deepseek", "default"),
    ],
)
def test_the_first_rule_that_holds_is_taken_and_named(features: Features, model: str, rule: str) -> None:
    made = chosen(features)
    assert (made.model, made.chosen, made.route.rule) == (model, model, rule)
    assert model in made.route.reason
    assert made.route.policy == policy().digest
    assert made.route.features == features.as_route()
    assert (made.route.arm, made.route.propensity, made.route.attempts) == (None, 1.0, ())


def test_the_founding_documents_context_goes_to_the_default() -> None:
    asked = question()
    made = choose_model(asked, compute_features(asked.event.context, policy().features), policy(), ALL, CATALOGUE)
    assert isinstance(made, Chosen)
    assert (made.model, made.route.rule) == ("deepseek", "default")


def test_a_preference_goes_before_every_rule() -> None:
    made = chosen(Features(True, True, True, True), model_preference="phi3")
    assert (made.model, made.route.rule, made.route.reason) == ("phi3", "preference", "the bot asked for phi3")


def test_a_preference_for_an_unknown_model_is_refused_with_the_catalogue() -> None:
    with pytest.raises(Rejected) as caught:
        choice(Features(), model_preference="gpt", context_id="mine")
    assert caught.value.field == "model_preference"
    assert "deepseek, fingpt, phi3, qwen" in caught.value.rule
    assert caught.value.envelope.context_id == "mine"


def test_a_model_that_does_not_run_is_replaced_from_its_own_chain() -> None:
    made = chosen(Features(has_position=True, high_volume=True), Fleet(("deepseek", "qwen")))
    assert (made.model, made.chosen, made.route.rule) == ("qwen", "fingpt", "position_and_volume")
    assert "fingpt does not run, so qwen of its fallback chain" in made.route.reason
    assert [candidate.model for candidate in made.route.candidates] == ["fingpt", "qwen", "deepseek"]
    assert made.route.candidates[0] == Candidate(model="fingpt", state=HealthState.DOWN)


def test_without_fallback_it_is_this_model_or_none() -> None:
    fleet = Fleet(("deepseek",))
    made = choice(Features(), fleet, model_preference="qwen", fallback=False)
    assert isinstance(made, NoModel)
    assert (made.chosen, made.route.rule) == ("qwen", "preference")
    assert "fallback is false" in made.reason
    assert chosen(Features(), fleet, fallback=False).model == "deepseek"


def test_where_no_model_of_the_chain_runs_there_is_none() -> None:
    made = choice(Features(), Fleet(()))
    assert isinstance(made, NoModel)
    assert "neither deepseek nor any model" in made.route.reason


def test_candidates_carry_how_they_do() -> None:
    made = chosen(Features(), Fleet(ALL.running, {"deepseek": Standing(HealthState.DEGRADED)}))
    assert made.route.candidates == (
        Candidate(model="deepseek", state=HealthState.DEGRADED),
        Candidate(model="qwen", state=HealthState.HEALTHY),
        Candidate(model="phi3", state=HealthState.HEALTHY),
    )


def crowd(*names: str) -> Policy:
    """The founding document's rules, with a rule of so many alternatives before its second chain."""
    listed = ", ".join(f'"{name}"' for name in names)
    rule = f'[[rules]]\nname = "crowd"\nwhen = ["large_position"]\nmodel = "fingpt"\nalternatives = [{listed}]\n'
    return policy(f"{rule}[features]\nlarge_position_pct = 0.05\n")


def test_the_model_that_is_asked_is_a_candidate_however_many_there_are() -> None:
    others = tuple(f"m{number}" for number in range(CANDIDATES_MAX))
    fleet = Fleet(ALL.running, {"fingpt": Standing(HealthState.DOWN), "qwen": Standing(HealthState.PROBING, probes_left=1)})
    made = chosen(Features(large_position=True), fleet, crowd(*others))
    assert (made.model, len(made.route.candidates)) == ("qwen", CANDIDATES_MAX)
    assert made.route.candidates[-1] == Candidate(model="qwen", state=HealthState.PROBING)


def test_a_model_that_is_named_twice_takes_one_place_among_the_candidates() -> None:
    others = (*(f"m{number}" for number in range(CANDIDATES_MAX - 3)), "qwen")
    made = chosen(Features(large_position=True), ALL, crowd(*others))
    assert [each.model for each in made.route.candidates] == ["fingpt", *others, "deepseek"]


@pytest.mark.parametrize(
    ("features", "model", "rule"),
    [
        (Features(has_position=True, high_volume=True, volatility_high=True), "phi3", "default"),
        (Features(sentiment_clear=True), "phi3", "sentiment"),
        (Features(), "phi3", "default"),
    ],
)
def test_where_one_model_runs_the_rules_are_restricted_and_say_so(features: Features, model: str, rule: str) -> None:
    made = chosen(features, Fleet(("phi3",)), policy().restricted_to(("phi3",)))
    assert (made.model, made.route.rule) == (model, rule)
    assert "restricted to the models that run: phi3" in made.route.reason


def test_a_preference_for_a_model_that_does_not_run_ends_at_one_that_does() -> None:
    made = chosen(Features(), Fleet(("phi3",)), policy().restricted_to(("phi3",)), model_preference="qwen")
    assert (made.model, made.chosen) == ("phi3", "qwen")


def test_a_failed_context_goes_down_the_chain_of_the_model_first_chosen() -> None:
    asked = question()
    made = chosen(Features(has_position=True, high_volume=True))
    tag = tag_for(asked, made.chosen, made.route, LOGGED_MS)
    went = []
    while (model := next_model(tag, asked, policy(), ALL)) is not None:
        went.append(model)
        tag = tag.with_route(tag.route.tried(Attempt(model=model, outcome="failed:raised")))
    assert went == ["fingpt", "qwen", "deepseek"]


def test_a_failed_context_is_not_handed_to_a_model_that_does_not_run() -> None:
    asked = question()
    made = chosen(Features(has_position=True, high_volume=True))
    tag = tag_for(asked, made.chosen, made.route.tried(Attempt(model="fingpt", outcome="failed:hung")), LOGGED_MS)
    assert next_model(tag, asked, policy(), Fleet(("fingpt", "deepseek"))) == "deepseek"
    assert next_model(tag, question(fallback=False), policy(), ALL) is None


def test_a_rule_may_ask_for_a_large_position() -> None:
    large = '[[rules]]\nname = "large"\nwhen = ["large_position"]\nmodel = "fingpt"\n'
    rules = policy(f"{large}[features]\nlarge_position_pct = 0.05\n")
    for size, rule in ((6.0, "large"), (4.0, "default")):
        asked = question({"price": 100.0, "position": size, "account": {"equity": 10_000}})
        made = choose_model(asked, compute_features(asked.event.context, rules.features), rules, ALL, CATALOGUE)
        assert (made.route.rule, made.route.features["large_position"]) == (rule, rule == "large")


def test_a_chain_longer_than_the_trail_comes_to_an_end() -> None:
    """The trail keeps its newest attempts: what fell out of it must not be tried anew, round and round."""
    names = tuple(f"m{number}" for number in range(ATTEMPTS_MAX + 2))
    listed = ", ".join(f'"{name}"' for name in (*names[1:], "m"))
    rules = Policy.from_toml(f'default = "m"\n[fallback]\nm0 = [{listed}]\nm = ["m0"]\n')
    tag = tag_for(question(), "m0", Route(), LOGGED_MS)
    asked: list[str] = []
    while len(asked) <= len(names) and (model := next_model(tag, question(), rules, Fleet((*names, "m")))) is not None:
        asked.append(model)
        tag = tag.with_route(tag.route.tried(Attempt(model=model, outcome="failed:raised")))
    assert asked == list(names[:ATTEMPTS_MAX])


@pytest.mark.parametrize("state", [HealthState.OPEN, HealthState.DOWN, HealthState.PROBING])
def test_a_failed_context_is_not_handed_to_the_model_that_was_out_when_it_was_routed(state: HealthState) -> None:
    """A worker sees no other model; what the router saw of them stands in the tag."""
    asked = question()
    made = chosen(Features(volatility_high=True), Fleet(CATALOGUE, {"qwen": Standing(state, "hung 5")}))
    assert (made.chosen, made.model) == ("qwen", "deepseek")
    tag = tag_for(asked, made.chosen, made.route.tried(Attempt(model="deepseek", outcome="failed:raised")), LOGGED_MS)
    assert next_model(tag, asked, policy(), ALL) is None
