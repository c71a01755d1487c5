"""The decisions, built whole: one builder for each way a context can end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from deciders.limits import Limited, halt_reason
from deciders.routing import NoModel
from schemas.canonical import digest, rfc3339
from schemas.decision import Decision, Generation, ModelUsed, Probs, Proposed, Status, Timings, Tokens
from schemas.halt import Halt
from schemas.origin import default_context_id, run_id_of
from schemas.policy import Policy
from schemas.question import Question, decision_id
from schemas.record import Record
from schemas.refusal import Rejected
from schemas.route import Route

NO_TIMINGS: Final = Timings()


@dataclass(frozen=True, slots=True)
class Moment:
    """When a decision is made, and how long each part of the way took."""

    decided_at_ms: int
    timings: Timings = NO_TIMINGS


@dataclass(frozen=True, slots=True)
class Said:
    """What a model answered, checked; `rationale` is screened, `generation` the raw answer."""

    model: ModelUsed
    proposed: Proposed
    confidence: float | None
    confidence_source: str | None
    probs: Probs | None
    rationale: str
    tokens: Tokens
    generation: Generation | None


def rejected(record: Record, refusal: Rejected, policy: Policy, now_ms: int) -> Decision:
    """A readable context that breaks the contract: the bot is told the field and the rule."""
    sender = refusal.envelope
    context_id = default_context_id(record) if sender.context_id is None else sender.context_id
    return Decision(
        decision_id=decision_id(sender.bot_id, sender.symbol, context_id, run_id_of(record)),
        context_id=context_id,
        content_digest=digest(record.value),
        bot_id=sender.bot_id,
        symbol=sender.symbol,
        horizon_s=policy.defaults.horizon_s if sender.horizon_s is None else sender.horizon_s,
        experiment=sender.experiment,
        status=Status.REJECTED,
        route=Route(policy=policy.digest, reason="the context breaks the contract: no model was chosen"),
        reason=f"{refusal.field}: {refusal.rule}",
        as_of=None if sender.as_of_ms is None else rfc3339(sender.as_of_ms),
        decided_at=rfc3339(now_ms),
        valid_until=None,
    )


def expired(question: Question, route: Route, moment: Moment, said: Said | None = None) -> Decision:
    """Its time passed before an answer could go out; `said` is the answer where there was one."""
    return _ended(question, route, moment, Status.EXPIRED, _answer(said))


def halted(question: Question, route: Route, halt: Halt, moment: Moment) -> Decision:
    """Trading is switched off: no model is asked."""
    stopped = route.model_copy(update={"halt": halt})
    return _ended(question, stopped, moment, Status.HALTED, {"reason": halt_reason(halt)})


def no_model(question: Question, nobody: NoModel, moment: Moment) -> Decision:
    """No model of the chain can be asked; `route.reason` says why."""
    return _ended(question, nobody.route, moment, Status.ABSTAINED_NO_MODEL, {})


def bad_output(question: Question, route: Route, moment: Moment, generation: Generation | None = None) -> Decision:
    """No model of the chain gave a valid answer; `generation.failed` holds what they gave."""
    return _ended(question, route, moment, Status.ABSTAINED_BAD_OUTPUT, {"generation": generation})


def answered(question: Question, route: Route, said: Said, limited: Limited, moment: Moment) -> Decision:
    """A model answered, and this is what the limits left of it."""
    judged = route.model_copy(update={"threshold": limited.threshold, "halt": limited.halt})
    left = {
        "action": limited.action,
        "size_pct": limited.size_pct,
        "stop_loss": limited.stop_loss,
        "take_profit": limited.take_profit,
        "clamps": limited.clamps,
        "reason": limited.reason,
    }
    return _ended(question, judged, moment, limited.status, _answer(said) | left)


def _ended(question: Question, route: Route, moment: Moment, status: Status, known: dict[str, Any]) -> Decision:
    return Decision(
        decision_id=question.decision_id,
        context_id=question.context_id,
        content_digest=question.content_digest,
        bot_id=question.bot_id,
        symbol=question.symbol,
        horizon_s=question.horizon_s,
        experiment=question.event.experiment,
        status=status,
        route=route,
        as_of=rfc3339(question.as_of_ms),
        decided_at=rfc3339(moment.decided_at_ms),
        valid_until=rfc3339(question.valid_until_ms),
        price_ref=question.event.context.price_ref,
        timings_ms=moment.timings,
        **known,
    )


def _answer(said: Said | None) -> dict[str, Any]:
    """What a decision says of an answer; a confidence that is no number is left out, with its source."""
    if said is None:
        return {}
    sure = said.confidence is not None and math.isfinite(said.confidence)
    return {
        "model": said.model,
        "proposed": said.proposed,
        "confidence": min(1.0, max(0.0, said.confidence)) if sure and said.confidence is not None else None,
        "confidence_source": said.confidence_source if sure else None,
        "probs": said.probs,
        "rationale": said.rationale,
        "tokens": said.tokens,
        "generation": said.generation,
    }
