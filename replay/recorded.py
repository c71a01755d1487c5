"""What a recorded decision says of the world it was made in: its times, its fleet, its halt, and who was asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from deciders.dedupe import Name, Seen
from deciders.features import Features
from deciders.fleet import Fleet, Standing
from deciders.judge import Choose
from deciders.routing import Chosen, NoModel
from schemas.canonical import parse_rfc3339
from schemas.decision import Decision, Status
from schemas.halt import Halt
from schemas.policy import Policy
from schemas.question import Question
from schemas.refusal import Reason
from schemas.route import Attempt, Route

# What names of contexts came before is not in the record of one, but what came of it is.
_REPEATS: Final = {Reason.DUPLICATE_CONTEXT_ID: Seen.REPEATED, Reason.CONTEXT_ID_REUSED: Seen.REUSED}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One context's decision as the log holds it."""

    decision: Decision

    @property
    def ended_at_ms(self) -> int:
        """When it was made, as it went out."""
        return parse_rfc3339(self.decision.decided_at)

    @property
    def by_router(self) -> bool:
        """Whether the router made it: a decision of a worker, or of a rescue, tells how long it waited."""
        return self.decision.timings_ms.waited is None

    @property
    def halted_at_router(self) -> Halt | None:
        """The halt that the router found in force."""
        return self.decision.route.halt if self.by_router and self.decision.status is Status.HALTED else None

    @property
    def ended_unanswered(self) -> bool:
        """Whether its time, or a halt, ended it."""
        return self.decision.status in (Status.EXPIRED, Status.HALTED)

    def routed_at_ms(self, received_at_ms: int) -> int:
        """When the router chose, or decided."""
        return self.ended_at_ms if self.by_router else received_at_ms + int(self.decision.timings_ms.routed or 0)

    def asked_at_ms(self, received_at_ms: int, model: str) -> int:
        """When this model was asked, as far as is known: of several only the last one's waiting is told.

        Where nothing tells that it was asked, the moment in which another one was.
        """
        attempt, routed_at_ms = self.attempt(model), self.routed_at_ms(received_at_ms)
        told = attempt is None or (self.is_last(attempt) and not self.ended_unanswered)
        return routed_at_ms + int(self.decision.timings_ms.waited or 0) if told else routed_at_ms

    def attempt(self, model: str) -> Attempt | None:
        """What came of asking this model; nobody is asked twice."""
        return next((each for each in self.decision.route.attempts if each.model == model), None)

    def is_last(self, attempt: Attempt) -> bool:
        """Whether nobody was asked after it."""
        return self.decision.route.attempts[-1] is attempt

    def after(self, model: str) -> str | None:
        """Who was asked next."""
        asked = [each.model for each in self.decision.route.attempts]
        return next((asked[at + 1] for at, name in enumerate(asked[:-1]) if name == model), None)

    def routed_as(self, route: Route) -> bool:
        """Whether the same rule of the same policy routed it."""
        own = self.decision.route
        return (own.policy, own.rule) == (route.policy, route.rule)

    def went_as(self, decision: Decision) -> bool:
        """Whether this decision came about by the same rule, and by asking the same models with the same success."""
        own, other = ([(each.model, each.outcome) for each in made.route.attempts] for made in (self.decision, decision))
        return self.routed_as(decision.route) and own == other

    def fleet(self, running: tuple[str, ...]) -> Fleet:
        """Whom a router could ask then: who was asked could be, and of those that are not named nothing is known.

        Waits are not in it: whom a router preferred for them is told by whom it asked.
        """
        standings = {each.model: Standing(each.state, probes_left=1) for each in self.decision.route.candidates}
        asked = {each.model: Standing() for each in self.decision.route.attempts}
        return Fleet(running, standings | asked)

    def follower(self, model: str, running: tuple[str, ...]) -> Fleet:
        """Whom a question could be handed to that this model did not answer: who had it next, else nobody.

        Where its time or a halt ended it with the next one, nobody knows with whom: then it is anybody.
        """
        following = self.after(model)
        if following is not None:
            return Fleet((following,))
        return Fleet(running if self.ended_unanswered else ())

    def choice(self, choose: Choose) -> Choose:
        """The same choice, but that where the same rule of the same policy names a model, it goes where it went."""

        def chosen(question: Question, features: Features, policy: Policy, fleet: Fleet) -> Chosen | NoModel:
            made = choose(question, features, policy, fleet)
            if self.decision.route.arm is not None and self.decision.route.policy == made.route.policy:
                made = self._drawn(made, policy)
            if not self.routed_as(made.route):
                return made
            if self.by_router:
                return NoModel(made.chosen, made.route.reason, made.route)
            asked = self.decision.route.attempts
            model = asked[0].model if asked else made.model if isinstance(made, Chosen) else made.chosen
            return Chosen(model, made.chosen, made.route)

        return chosen

    def _drawn(self, made: Chosen | NoModel, policy: Policy) -> Chosen | NoModel:
        """The same under the rule and the arm of the record: an arm was drawn, and would be drawn otherwise now."""
        own = self.decision.route
        asked = [each.model for each in own.attempts]
        named = [*(each.model for each in own.candidates[:1]), *asked[:1]]
        chosen = next((name for name in named if {name, *policy.chain(name)}.issuperset(asked)), made.chosen)
        route = made.route.model_copy(update={name: getattr(own, name) for name in ("rule", "arm", "propensity")})
        return replace(made, chosen=chosen, route=route)


@dataclass(frozen=True, slots=True)
class RecordedNames:
    """Whether a context's name came before, as its own outcome says."""

    reason: str | None

    def take(self, name: Name, offset: int, content_digest: str) -> Seen:
        """First, unless its outcome is the dead letter of a repeat."""
        return next((seen for reason, seen in _REPEATS.items() if reason == self.reason), Seen.FIRST)
