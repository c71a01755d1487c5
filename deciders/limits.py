"""What of a model's proposal may go out: limits run after the model, only ever shrink, and are written down."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deciders.sizing import POSITION_UNKNOWN, Room, Sized, limited_size, reduces
from deciders.stops import Stops, checked_stops
from deciders.terms import Terms, terms_of
from schemas.action import Action
from schemas.decision import Clamp, Proposed, Status
from schemas.halt import Halt, HaltMode
from schemas.policy import Policy
from schemas.question import Question


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is in force when an answer is judged: policy, the model that answered, MIN_LLM_CONFIDENCE, halt, time.

    `rule` is what routed the question, `route.rule`; None where no rule of the policy did.
    """

    policy: Policy
    model: str
    min_confidence: float
    halt: Halt | None
    now_ms: int
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Limited:
    """What is left of a proposal. `action` is HOLD with size 0 unless `status` is DECIDED."""

    status: Status
    threshold: float
    halt: Halt | None
    action: Action = Action.HOLD
    size_pct: float = 0.0
    stop_loss: float | None = None
    take_profit: float | None = None
    clamps: tuple[Clamp, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """One proposal under judgement."""

    proposed: Proposed
    question: Question
    bounds: Bounds
    terms: Terms

    def ended(self, status: Status, reason: str | None = None, clamps: tuple[Clamp, ...] = ()) -> Limited:
        noted = (*self.terms.clamps, *clamps)
        return Limited(status, self.terms.threshold, self.bounds.halt, clamps=noted, reason=reason)

    def blocked(self, reason: str, clamps: tuple[Clamp, ...] = ()) -> Limited:
        return self.ended(Status.BLOCKED_BY_RISK, reason, clamps)

    def decided(self, action: Action, size_pct: float, stops: Stops, clamps: tuple[Clamp, ...] = ()) -> Limited:
        noted = (*self.terms.clamps, *clamps, *stops.clamps)
        return Limited(
            Status.DECIDED,
            self.terms.threshold,
            self.bounds.halt,
            action,
            size_pct,
            stops.stop_loss,
            stops.take_profit,
            noted,
        )


_NO_STOPS = Stops(None, None)


def terms(question: Question, bounds: Bounds) -> Terms:
    """What the question is held to; its threshold is the global one, replaced by the model's own, that by the rule's.

    The bot may tighten each. Neither halt nor time of the bounds counts here.
    """
    policy = bounds.policy
    own = policy.min_confidence(bounds.model, bounds.rule)
    return terms_of(question.event.limits, policy.limits, bounds.min_confidence if own is None else own)


def clamp(proposed: Proposed, confidence: float | None, question: Question, bounds: Bounds) -> Limited:
    """What goes out of this proposal; whatever is proposed, nothing outside the limits does.

    Judged in this order, the first that ends it counts:
    1. its time is over: EXPIRED, whatever the answer was;
    2. a full halt: HALTED;
    3. confidence under the threshold: ABSTAINED_LOW_CONFIDENCE, a HOLD never;
    4. the proposed action is not allowed, a CLOSE excepted: BLOCKED_BY_RISK. No other action takes its place, so
       that taking one away never lets another pass;
    5. HOLD and CLOSE stand as they are: nothing, and all of the position;
    6. a halt that lets only reducing actions out: HALTED for the others;
    7. on spot, a SELL without a position; then size and stops, BLOCKED_BY_RISK where nothing is left.
    """
    halt = bounds.halt
    case = _Case(proposed, question, bounds, terms(question, bounds))
    if question.is_over(bounds.now_ms):
        return case.ended(Status.EXPIRED)
    if halt is not None and halt.mode is HaltMode.FULL:
        return case.ended(Status.HALTED, halt_reason(halt))
    if proposed.action is not Action.HOLD and not _sure(confidence, case.terms.threshold):
        return case.ended(Status.ABSTAINED_LOW_CONFIDENCE)
    if proposed.action is not Action.CLOSE and proposed.action not in case.terms.allowed_actions:
        allowed = ", ".join(case.terms.allowed_actions) or "none"
        return case.blocked(f"allowed_actions: {proposed.action} is not allowed ({allowed})")
    if proposed.action is Action.HOLD:
        return case.decided(Action.HOLD, 0.0, _NO_STOPS)
    if proposed.action is Action.CLOSE:
        return case.decided(Action.CLOSE, 1.0, _NO_STOPS, _unknown(question))
    return _ordered(case)


def halt_reason(halt: Halt) -> str:
    """What a HALTED decision says: which halt, and why it stands."""
    return f"halt {halt.scope} ({halt.mode}): {halt.why or 'no reason given'}"


def _sure(confidence: float | None, threshold_: float) -> bool:
    """Whether it is known to reach the threshold: None, NaN and infinity do not."""
    return confidence is not None and math.isfinite(confidence) and confidence >= threshold_


def _unknown(question: Question) -> tuple[Clamp, ...]:
    return (POSITION_UNKNOWN,) if question.event.context.holds is None else ()


def _ordered(case: _Case) -> Limited:
    """A BUY or a SELL: steps 6 and 7."""
    action, market, halt = case.proposed.action, case.question.event.context, case.bounds.halt
    if halt is not None and not reduces(action, market):
        return case.ended(Status.HALTED, f"{halt_reason(halt)}; this {action} is not known to reduce a position")
    if action is Action.SELL and market.market == "spot" and not reduces(action, market):
        return case.blocked(_spot_reason(market.holds))
    sized = _sized(case)
    if sized.reason is not None:
        return case.blocked(sized.reason, sized.clamps)
    limits = case.bounds.policy.limits
    stops = checked_stops(case.proposed, market.price_ref, limits, case.terms.require_stop)
    if stops.reason is not None:
        return case.blocked(stops.reason, (*sized.clamps, *stops.clamps))
    return case.decided(action, sized.size_pct, stops, sized.clamps)


def _spot_reason(holds: bool | None) -> str:
    if holds is None:
        return "context.position: a SELL on spot needs one, and none is known; send position or has_position"
    return "context.position: a SELL on spot needs one, and there is none"


def _sized(case: _Case) -> Sized:
    limits, market, proposed = case.bounds.policy.limits, case.question.event.context, case.proposed
    size = proposed.size_pct
    clamps: tuple[Clamp, ...] = ()
    if size is None:
        size = limits.default_size_pct
        clamps = (Clamp(limit="default_size_pct", before=None, after=size),)
    room = Room(case.terms.max_position_pct, reduce_only=case.bounds.halt is not None)
    sized = limited_size(proposed.action, size, market, room)
    return Sized(sized.size_pct, (*clamps, *sized.clamps), sized.reason)
