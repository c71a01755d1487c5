"""Which model a question goes to, and why: preference, else the first rule that holds, else the default."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from deciders.balance import Possible, pick
from deciders.features import Features
from deciders.fleet import ASKED_FREELY, Fleet, Standing
from schemas.policy import Policy
from schemas.question import Question, envelope_of
from schemas.refusal import Rejected
from schemas.route import Candidate, Route, Tag
from schemas.size import ATTEMPTS_MAX, CANDIDATES_MAX
from schemas.status import HealthState


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
    alternatives: tuple[str, ...] = ()


def choose_model(
    question: Question, features: Features, policy: Policy, fleet: Fleet, catalogue: Collection[str]
) -> Chosen | NoModel:
    """The model for this question, from the one that is named, its rule's alternatives and its fallback chain: `pick` says how.

    `catalogue` holds every model's name. Raises Rejected where the bot prefers a model that is not in it.
    """
    choice = _choice(question, features, policy, catalogue)
    fallback = question.event.fallback
    chain = policy.chain(choice.model) if fallback else ()
    alternatives = choice.alternatives if fallback else ()
    left_ms = None if fleet.now_ms is None else question.left_ms(fleet.now_ms)
    possible = Possible(choice.model, alternatives, chain, fallback, left_ms, policy.balance.factor)
    model, how = pick(possible, fleet)
    reason = choice.reason + how
    route = Route(
        rule=choice.rule,
        policy=policy.digest,
        reason=reason,
        features=features.as_route(),
        candidates=_candidates((choice.model, *alternatives, *chain), fleet, model),
        propensity=1.0,
    )
    return NoModel(choice.model, reason, route) if model is None else Chosen(model, choice.model, route)


def next_model(tag: Tag, question: Question, policy: Policy, fleet: Fleet) -> str | None:
    """Whom to hand a question to after the attempts in `tag`; None at the chain's end, or where `fallback` is false.

    For who sees no other model: one that was out when the question was routed is not asked.
    """
    out = {each.model for each in tag.route.candidates if each.state not in ASKED_FREELY}
    return next((name for name in _untried(tag, question, policy) if name in fleet.running and name not in out), None)


def next_asked(tag: Tag, question: Question, policy: Policy, fleet: Fleet) -> str | None:
    """The same among those that can be asked now."""
    return next((name for name in _untried(tag, question, policy) if fleet.of(name).can_be_asked), None)


def seen_again(route: Route, names: tuple[str, ...], fleet: Fleet) -> Route:
    """The same route with these models among its candidates as they stand now."""
    others = tuple(each for each in route.candidates if each.model not in names)
    return route.model_copy(update={"candidates": (*_candidates(names, fleet), *others)[:CANDIDATES_MAX]})


def _untried(tag: Tag, question: Question, policy: Policy) -> tuple[str, ...]:
    if not question.event.fallback or len(tag.route.attempts) >= ATTEMPTS_MAX:  # the trail holds no more, so none is forgotten
        return ()
    tried = {attempt.model for attempt in tag.route.attempts}
    return tuple(name for name in (tag.chosen, *policy.chain(tag.chosen)) if name not in tried)


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
            return _Choice(rule.model, rule.name, f"{facts} → {rule.model}{_restriction(policy)}", rule.alternatives)
    return _Choice(policy.default, "default", f"no rule holds → {policy.default}{_restriction(policy)}")


def _restriction(policy: Policy) -> str:
    if policy.restricted is None:
        return ""
    return f"; rules and default are restricted to the models that run: {', '.join(policy.restricted)}"


def _candidates(names: tuple[str, ...], fleet: Fleet, asked: str | None = None) -> tuple[Candidate, ...]:
    """How each stands, as many as a route may hold; the one that is asked is always among them: probes are known by it."""
    kept = list(dict.fromkeys(names))
    if asked in kept[CANDIDATES_MAX:]:
        kept[CANDIDATES_MAX - 1] = asked
    return tuple([_candidate(name, *_seen(fleet.of(name))) for name in kept[:CANDIDATES_MAX]])


def _seen(standing: Standing) -> tuple[HealthState, int | None]:
    """Its state and expected wait, to the ten milliseconds: an estimate, and few different ones need few candidates made."""
    wait_ms = standing.wait_ms
    return standing.state, None if wait_ms is None else round(wait_ms / 10) * 10


@lru_cache(maxsize=8_192)
def _candidate(name: str, state: HealthState, wait_ms: int | None) -> Candidate:
    # Remembered, because a fleet has few states and every context asks for them.
    return Candidate(model=name, state=state, expected_wait_ms=wait_ms)
