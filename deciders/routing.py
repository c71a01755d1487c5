"""Which model a question goes to, and why: preference, else the first rule that holds, else the default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from deciders.features import Features
from schemas.policy import Policy
from schemas.question import Question, envelope_of
from schemas.refusal import Rejected
from schemas.route import Candidate, Route, Tag
from schemas.size import CANDIDATES_MAX
from schemas.status import HealthState


@dataclass(frozen=True, slots=True)
class Fleet:
    """The models that run, and how each is doing where that is known."""

    running: tuple[str, ...]
    states: Mapping[str, HealthState] = field(default_factory=dict)

    def state(self, model: str) -> HealthState:
        """How this model is doing: DOWN where it does not run, HEALTHY where nothing else was heard."""
        return self.states.get(model, HealthState.HEALTHY) if model in self.running else HealthState.DOWN


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model to ask now; `chosen` is the one that preference, rules or default named, whose chain counts."""

    model: str
    chosen: str
    route: Route


@dataclass(frozen=True, slots=True)
class NoModel:
    """Nobody can be asked; `route.reason` says why."""

    chosen: str
    reason: str
    route: Route


@dataclass(frozen=True, slots=True)
class _Choice:
    model: str
    rule: str
    reason: str


def choose_model(
    question: Question, features: Features, policy: Policy, fleet: Fleet, catalogue: Collection[str]
) -> Chosen | NoModel:
    """The model for this question: the one chosen if it runs, else the first of its fallback chain that does.

    `catalogue` holds every model's name. Raises Rejected where the bot prefers a model that is not in it.
    """
    choice = _choice(question, features, policy, catalogue)
    chain = policy.chain(choice.model) if question.event.fallback else ()
    model = next((name for name in (choice.model, *chain) if name in fleet.running), None)
    reason = choice.reason + _detour(choice.model, model, question.event.fallback)
    route = Route(
        rule=choice.rule,
        policy=policy.digest,
        reason=reason,
        features=features.as_route(),
        candidates=_candidates((choice.model, *chain), fleet),
        propensity=1.0,
    )
    return NoModel(choice.model, reason, route) if model is None else Chosen(model, choice.model, route)


def next_model(tag: Tag, question: Question, policy: Policy, fleet: Fleet) -> str | None:
    """Whom to hand a question to after the attempts in `tag`; None at the chain's end, or where `fallback` is false."""
    if not question.event.fallback:
        return None
    tried = {attempt.model for attempt in tag.route.attempts}
    chain = (tag.chosen, *policy.chain(tag.chosen))
    return next((name for name in chain if name in fleet.running and name not in tried), None)


def _choice(question: Question, features: Features, policy: Policy, catalogue: Collection[str]) -> _Choice:
    preferred = question.event.model_preference
    if preferred is not None:
        if preferred not in catalogue:
            known = f"must be a model of the catalogue: {', '.join(sorted(catalogue))}"
            raise Rejected("model_preference", known, envelope_of(question.event, question.received_at_ms))
        return _Choice(preferred, "preference", f"the bot asked for {preferred}")
    for rule in policy.rules:
        if features.hold(rule.when):
            facts = " and ".join(rule.when)
            return _Choice(rule.model, rule.name, f"{facts} → {rule.model}{_restriction(policy)}")
    return _Choice(policy.default, "default", f"no rule holds → {policy.default}{_restriction(policy)}")


def _restriction(policy: Policy) -> str:
    if policy.restricted is None:
        return ""
    return f"; rules and default are restricted to the models that run: {', '.join(policy.restricted)}"


def _detour(chosen: str, model: str | None, fallback: bool) -> str:
    if model == chosen:
        return ""
    if model is not None:
        return f"; {chosen} does not run, so {model} of its fallback chain is asked"
    if not fallback:
        return f"; {chosen} does not run, and fallback is false"
    return f"; neither {chosen} nor any model of its fallback chain runs"


def _candidates(names: tuple[str, ...], fleet: Fleet) -> tuple[Candidate, ...]:
    return _known_candidates(names[:CANDIDATES_MAX], tuple(fleet.state(name) for name in names[:CANDIDATES_MAX]))


@lru_cache(maxsize=256)
def _known_candidates(names: tuple[str, ...], states: tuple[HealthState, ...]) -> tuple[Candidate, ...]:
    # Remembered, because a fleet has few states and every context asks for them.
    return tuple(Candidate(model=name, state=state) for name, state in zip(names, states, strict=True))
