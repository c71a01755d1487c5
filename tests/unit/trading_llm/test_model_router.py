"""A router of one's own: what it may decide, and what holds whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from deciders.features import compute_features
from deciders.fleet import Fleet, Standing
from deciders.routing import Chosen, NoModel
from examples.custom_router import CustomRouter
from router.model_router import ModelRouter, ModelType, Request
from schemas.policy import Policy
from schemas.refusal import Rejected
from schemas.status import HealthState
from tests.unit.samples import CATALOGUE, policy, question

pytestmark = pytest.mark.unit

ALL = Fleet(running=CATALOGUE)


class Fixed(ModelRouter):
    """Says one thing, or raises it."""

    def __init__(self, said: Any) -> None:
        super().__init__(CATALOGUE)
        self.said = said

    def select_model(self, request: Request) -> str:
        if isinstance(self.said, Exception):
            raise self.said
        return str(self.said)


def choose(router: ModelRouter, fleet: Fleet = ALL, rules: Policy | None = None, **event: Any) -> Chosen | NoModel:
    asked = question(**event)
    rules = rules or policy()
    return router.choose(asked, compute_features(asked.event.context, rules.features), rules, fleet)


def test_without_a_router_of_ones_own_the_rules_choose() -> None:
    found = choose(ModelRouter(CATALOGUE), context={"sentiment": 0.9})
    assert isinstance(found, Chosen)
    assert (found.model, found.route.rule) == ("phi3", "sentiment")


def test_a_routers_choice_goes_before_the_rules_and_is_named() -> None:
    found = choose(Fixed("qwen"), context={"sentiment": 0.9})
    assert isinstance(found, Chosen)
    assert (found.model, found.route.rule, found.route.reason) == ("qwen", "router:Fixed", "Fixed chose qwen")


def test_a_bots_own_preference_goes_before_the_router() -> None:
    found = choose(Fixed("qwen"), model_preference="phi3")
    assert isinstance(found, Chosen)
    assert (found.model, found.route.rule) == ("phi3", "preference")


def test_the_chain_of_the_chosen_model_holds_for_a_routers_choice() -> None:
    found = choose(Fixed("fingpt"), Fleet(running=("deepseek",)))
    assert isinstance(found, Chosen)
    assert (found.chosen, found.model) == ("fingpt", "deepseek")


def test_a_routers_choice_that_is_out_is_replaced_from_its_chain_and_it_may_look_itself() -> None:
    class Freest(ModelRouter):
        def select_model(self, request: Request) -> str:
            return min(("qwen", "phi3"), key=lambda name: request.fleet.of(name).waiting)

    fleet = Fleet(CATALOGUE, {"qwen": Standing(waiting=9), "phi3": Standing(waiting=3)})
    assert choose(Freest(CATALOGUE), fleet).route.reason == "Freest chose phi3"
    found = choose(Fixed("qwen"), Fleet(CATALOGUE, {"qwen": Standing(HealthState.OPEN, "hung 5")}))
    assert isinstance(found, Chosen)
    assert (found.model, found.route.rule) == ("deepseek", "router:Fixed")
    assert found.route.reason == "Fixed chose qwen; qwen is OPEN (hung 5), so deepseek of its fallback chain is asked"


def test_nobody_is_asked_where_the_choice_does_not_run_and_fallback_is_false() -> None:
    found = choose(Fixed("fingpt"), Fleet(running=("deepseek",)), fallback=False)
    assert isinstance(found, NoModel)
    assert "Fixed chose fingpt" in found.reason


@pytest.mark.parametrize("said", [TypeError("None > 0.8"), KeyError("volatility"), "gpt", ZeroDivisionError()])
def test_a_router_that_fails_or_names_nobody_leaves_it_to_the_rules_and_says_so(said: Any) -> None:
    found = choose(Fixed(said), context={"sentiment": 0.9})
    assert isinstance(found, Chosen)
    assert (found.model, found.route.rule) == ("phi3", "sentiment")
    assert found.route.reason.startswith("Fixed ")


def test_an_unknown_preference_is_refused_with_any_router() -> None:
    with pytest.raises(Rejected):
        choose(Fixed("qwen"), model_preference="gpt")


@pytest.mark.parametrize(("volatility", "model"), [(0.9, ModelType.QWEN), (0.2, ModelType.DEEPSEEK), (None, ModelType.DEEPSEEK)])
def test_the_examples_router_chooses_by_volatility(volatility: float | None, model: ModelType) -> None:
    context = {} if volatility is None else {"volatility": volatility}
    found = choose(CustomRouter(CATALOGUE), context=context)
    assert isinstance(found, Chosen)
    assert found.model == model


def test_a_request_shows_what_was_sent_and_what_could_be_computed() -> None:
    asked = question(context={"price": 45000, "volatility": 0.9, "colour": "red"})
    rules = policy()
    request = Request(asked, compute_features(asked.event.context, rules.features), rules, ALL)
    assert request.context["price"] == 45000
    assert request.context["colour"] == "red"
    assert request.context["volatility_high"] is True
    assert request.context.get("volume_ratio") is None
    assert (request.bot_id, request.symbol) == (asked.bot_id, asked.symbol)
