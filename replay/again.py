"""A recorded context decided again by the router's and the workers' own code; what the world did is in the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from deciders.asked import Asked, Judgement, Put
from deciders.fleet import Fleet, Standing
from deciders.identity import Identity, generation_key
from deciders.judge import Choose, World, routed
from deciders.outcome import Moment, no_model
from deciders.routing import NoModel
from deciders.stranded import HOPELESS_MS, Rescued, Stranded
from replay.answers import Answered, ByKey, Missing, Wanted, answer_for
from replay.recorded import Recorded, RecordedNames
from schemas.decision import Decision, FailedGeneration
from schemas.policy import Policy
from schemas.question import Question, decision_id
from schemas.record import Record
from schemas.refusal import Reason
from schemas.result import Result
from schemas.route import Attempt, Tag
from schemas.source import Source
from schemas.status import HealthState
from schemas.tagged import Hop

FleetOf = Literal["recorded", "healthy"]
OnMiss = Literal["stop", "abstain", "infer"]
_DOWN: Final = Standing(HealthState.DOWN)


class Miss(Exception):
    """Nothing is recorded that would decide this context; the text names it, and what changed."""


class NotRecorded(Miss):
    """No answer of this model to this context is recorded."""

    def __init__(self, told: str, record: Record, model: str) -> None:
        super().__init__(told, record, model)  # all of it, to be sent from one process to another
        self.record, self.model = record, model

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Ground:
    """What contexts are decided on again.

    `policies`: those that were in force, by their digests; `policy`, where there is one, takes the place of all of them. All are
    restricted to the models that run.
    """

    policies: Mapping[str, Policy]
    policy: Policy | None
    running: tuple[str, ...]
    identities: Mapping[str, Identity]
    choose: Choose
    min_confidence: float
    fleet: FleetOf = "recorded"
    on_miss: OnMiss = "stop"

    def policy_for(self, digest: str | None, src: Source) -> Policy:
        """The policy that decides what was decided under the one of this digest."""
        found = self.policy or self.policies.get(digest or "")
        if found is None:
            raise Miss(f"{src}: its policy {digest} is not among the recorded ones: give one with --policy")
        return found


@dataclass(frozen=True, slots=True)
class Again:
    """What a context comes to now: a decision, or none (a dead letter). `missed`: no answer was recorded for it."""

    decision: Decision | None
    missed: bool = False


def dead_again(record: Record, reason: str, ground: Ground) -> Again:
    """What a context comes to that was a dead letter. Raises Miss where it would be decided now: nothing tells how.

    What was given up because it ended its processes stays so: nobody can tell from its bytes.
    """
    if reason != Reason.UNDECIDABLE:
        policy = ground.policy or next(iter(ground.policies.values()))
        world = World(policy, Fleet(ground.running), ground.choose, lambda question: None)
        came = routed(record, RecordedNames(reason), world, record.timestamp_ms)
        if isinstance(came, Hop) or came.decision is not None:
            raise Miss(f"{record.source}: it was a dead letter ({reason}), and would be decided now")
    return Again(None)


def decide_again(record: Record, recorded: Recorded, ground: Ground, by_key: ByKey) -> Again:
    """What this record of `contexts` comes to now. Raises Miss where an answer is not recorded, and the run is to stop then."""
    policy = ground.policy_for(recorded.decision.route.policy, record.source)
    return _Way(record, recorded, ground, policy, by_key).decided()


def named_for(decision: Decision, run_id: str) -> Decision:
    """The decision as one of this run."""
    own = decision_id(decision.bot_id, decision.symbol, decision.context_id, run_id)
    return decision.model_copy(update={"decision_id": own})


@dataclass(slots=True)
class _Way:
    """The way of one context from the log to its decision; its hops are taken as they are, and not written and read again."""

    record: Record
    recorded: Recorded
    ground: Ground
    policy: Policy
    by_key: ByKey
    missed: bool = False

    def decided(self) -> Again:
        came = self._routed()
        while isinstance(came, Hop):  # nobody is asked twice, so it ends
            came = self._worked(came)
        decision = None if came.decision is None else self._as_recorded(came.decision)
        return Again(decision, self.missed)

    def _routed(self) -> Hop | Result:
        recorded, running = self.recorded, self.ground.running
        if self.ground.fleet == "healthy":
            fleet, choose = Fleet(running), self.ground.choose
        else:
            fleet, choose = recorded.fleet(running), recorded.choice(self.ground.choose)
        world = World(self.policy, fleet, choose, lambda question: recorded.halted_at_router)
        return routed(self.record, RecordedNames(None), world, recorded.routed_at_ms(self.record.timestamp_ms))

    def _worked(self, hop: Hop) -> Hop | Result:
        """What comes of the question that was sent to this model."""
        if hop.model not in self.ground.identities:
            raise Miss(f"{self.record.source}: it would go to {hop.model}, and the catalogue has no such model")
        attempt = self.recorded.attempt(hop.model)
        if attempt is not None and attempt.outcome == "rescued" and self.ground.fleet == "recorded":
            return self._rescued(Stranded(hop.record, hop.model, hop.question, hop.tag, hop.failed))
        at_ms = self._asked_at_ms(hop.question, hop.model)
        asked = Asked(hop.record, hop.question, hop.tag, self.policy, hop.model, hop.failed, at_ms)
        return self._ended(asked, attempt) or self._put(asked)

    def _ended(self, asked: Asked, attempt: Attempt | None) -> Result | None:
        """What its time or a halt made of it, before it was asked or while it was."""
        ended_at_ms, own = self.recorded.ended_at_ms, self.recorded.decision.route.halt
        waited = attempt is None and self.recorded.ended_unanswered
        at = replace(asked, asked_at_ms=ended_at_ms) if waited else asked
        if (ended := at.ended(own if waited else None)) is not None:
            return ended
        if attempt is None or attempt.outcome != "failed:hung" or not self.recorded.is_last(attempt):
            return None
        over = asked.question.is_over(ended_at_ms)
        return asked.tried("failed:hung", ended_at_ms).expired(ended_at_ms) if over else None

    def _asked_at_ms(self, question: Question, model: str) -> int:
        return self.recorded.asked_at_ms(question.received_at_ms, model)

    def _put(self, asked: Asked) -> Hop | Result:
        identity = self.ground.identities[asked.model]
        prompt, mode = asked.prompt(identity.template), self.policy.mode(asked.model, asked.tag.route.rule)
        parts = identity.parts(prompt, mode)
        found = answer_for(Wanted(asked.model, generation_key(parts), parts), self.recorded, self.by_key)
        if isinstance(found, Missing):
            return self._missing(asked, found)
        if isinstance(found, Answered):
            used = found.used.model_copy(update={"cutoff": identity.cutoff(asked.question.as_of_ms)})
            heard = asked.heard(Put(prompt, mode, parts, used), found.raw)
        else:
            heard = found
        if isinstance(heard, FailedGeneration):
            return asked.handed_on(heard, self._followers(asked.model, asked.tag), asked.asked_at_ms)
        ended_at_ms = self.recorded.ended_at_ms
        judgement = Judgement(asked, heard, self.ground.min_confidence, max(asked.asked_at_ms, ended_at_ms))
        return _made(asked.record, judgement.decision(self.recorded.decision.route.halt, ended_at_ms))

    def _followers(self, model: str, tag: Tag) -> Fleet:
        """Whom it can be handed to. A recorded attempt tells who it was; elsewhere everybody runs."""
        recorded, running = self.recorded, self.ground.running
        known = self.ground.fleet == "recorded" and recorded.routed_as(tag.route) and recorded.attempt(model) is not None
        return recorded.follower(model, running) if known else Fleet(running)

    def _rescued(self, stranded: Stranded) -> Hop | Result:
        """It moves on, or ends, as the router that rescued it would have it, that saw this model down."""
        seen = Fleet(self._followers(stranded.model, stranded.tag).running, {stranded.model: _DOWN})
        late_ms = stranded.question.valid_until_ms - HOPELESS_MS
        for now_ms in (min(self._asked_at_ms(stranded.question, stranded.model), late_ms), late_ms):
            rescued = stranded.rescued(seen, lambda digest: self.policy, now_ms)
            if isinstance(rescued, Rescued):
                return rescued.came
        raise Miss(f"{self.record.source}: {stranded.model} was down, and nothing tells what came of it")

    def _missing(self, asked: Asked, missing: Missing) -> Result:
        """No answer: the run ends here, or this context does, as one that no model could be asked about."""
        why = f"no answer of {asked.model} is recorded for it: {missing.why}"
        if self.ground.on_miss != "abstain":
            decision = self.recorded.decision
            name = f"context {decision.context_id!r} of {decision.bot_id} on {decision.symbol} ({self.record.source})"
            self._check_askable(asked, f"{name}: {why}")
            raise NotRecorded(f"{name}: {why} (--on-miss infer asks, abstain goes on)", self.record, asked.model)
        self.missed = True
        route = asked.tag.route.model_copy(update={"reason": why})
        moment = Moment(asked.asked_at_ms, asked.timings(asked.asked_at_ms))
        decision = no_model(asked.question, NoModel(asked.tag.chosen, why, route), moment)
        return _made(asked.record, decision)

    def _check_askable(self, asked: Asked, told: str) -> None:
        """Raises Miss where asking this model by its name would be another question: a rule's mode is not the model's own."""
        rule, model = asked.tag.route.rule, asked.model
        own, other = self.policy.mode(model, rule), self.policy.mode(model, None)
        if self.ground.on_miss == "infer" and own != other:
            raise Miss(f"{told}; rule {rule} asks in mode {own}, and {model} by itself in {other}: --on-miss abstain goes on")

    def _as_recorded(self, decision: Decision) -> Decision:
        """The decision with the record's times, and its words about the fleet, where it came about in the same way."""
        known: dict[str, Any] = {}
        if decision.generation is not None:
            known["generation"] = decision.generation.model_copy(update={"recorded": True})
        if self.ground.fleet == "recorded" and self.recorded.went_as(decision):
            own = self.recorded.decision
            told = ("reason", "candidates", "arm", "propensity", "attempts")
            route = decision.route.model_copy(update={name: getattr(own.route, name) for name in told})
            known |= {"route": route, "timings_ms": own.timings_ms, "decided_at": own.decided_at}
        return decision.model_copy(update=known)


def _made(record: Record, decision: Decision) -> Result:
    """A result that goes to no topic: its decision is not written out before it is the run's."""
    return Result(record, (), decision=decision)
