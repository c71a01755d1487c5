"""Who chooses the model, as a class to derive from: override `select_model`, and name it in TRADING_LLM_ROUTER."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from deciders.features import Features
from deciders.fleet import Fleet
from deciders.routing import Chosen, NoModel, choose_model
from schemas.policy import Policy
from schemas.question import Question

# What a wrong look at a context raises: the policy's rules then choose, and `route.reason` says so. A key that is
# absent must not end the process that routes everybody else's contexts.
WRONG_LOOKS: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


class ModelType(StrEnum):
    """The models that are in the catalogue from the start; any other one is meant by its name."""

    DEEPSEEK = "deepseek"
    QWEN = "qwen"
    FINGPT = "fingpt"
    PHI3 = "phi3"


@dataclass(frozen=True)
class Request:
    """What a choice may look at: the question, what the rules see in it, the policy in force, and how each model stands.

    `fleet.of(name)` says whether a model can be asked and how long a question would wait there; it holds for this moment.
    """

    question: Question
    features: Features
    policy: Policy
    fleet: Fleet

    @cached_property
    def context(self) -> Mapping[str, Any]:
        """The market as the bot sent it, with volatility, volume ratio and position filled in where they could be computed."""
        sent = self.question.event.context.model_dump(mode="json", exclude_none=True)
        computed = {name: value for name, value in self.features.as_route().items() if value not in (None, "unknown")}
        return computed | sent

    @property
    def bot_id(self) -> str:
        """Who asks."""
        return self.question.bot_id

    @property
    def symbol(self) -> str:
        """About what."""
        return self.question.symbol


class ModelRouter:
    """Chooses by the policy's rules. `catalogue` holds every model's name.

    A bot's own `model_preference` goes before every router; fallback chains and limits hold for every choice.
    """

    def __init__(self, catalogue: Collection[str] = tuple(ModelType)) -> None:
        self.catalogue = frozenset(catalogue)

    def select_model(self, request: Request) -> str:
        """The name of the model to ask. Override it; it must answer from the request alone, and at once."""
        return self._by_rules(request).chosen

    def choose(self, question: Question, features: Features, policy: Policy, fleet: Fleet) -> Chosen | NoModel:
        """The choice for this question and its trail. Raises Rejected where the bot prefers an unknown model."""
        request = Request(question, features, policy, fleet)
        rules = self._by_rules(request)
        if question.event.model_preference is not None or type(self).select_model is ModelRouter.select_model:
            return rules
        try:
            name = str(self.select_model(request))
        except WRONG_LOOKS as error:
            return _because(rules, f"{self._name} raised {type(error).__name__}: {rules.route.reason}")
        if name not in self.catalogue:
            return _because(rules, f"{self._name} named {name[:64]}, which is not in the catalogue: {rules.route.reason}")
        return self._of(name, request)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _by_rules(self, request: Request) -> Chosen | NoModel:
        return choose_model(request.question, request.features, request.policy, request.fleet, self.catalogue)

    def _of(self, name: str, request: Request) -> Chosen | NoModel:
        """The choice as if the bot had asked for this model, under this router's name."""
        event = request.question.event.model_copy(update={"model_preference": name})
        choice = self._by_rules(replace(request, question=replace(request.question, event=event)))
        reason = choice.route.reason.replace(f"the bot asked for {name}", f"{self._name} chose {name}", 1)
        return _because(choice, reason, rule=f"router:{self._name}"[:128])


def _because(choice: Chosen | NoModel, reason: str, rule: str | None = None) -> Chosen | NoModel:
    route = choice.route.model_copy(update={"reason": reason[:280], "rule": rule or choice.route.rule})
    if isinstance(choice, NoModel):
        return replace(choice, route=route, reason=reason)
    return replace(choice, route=route)
