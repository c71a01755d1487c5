"""What becomes of an answer, by the worker's own code, and whether it is inside the schema and the limits."""

from __future__ import annotations

import math

from deciders.answer import RATIONALE_CHARACTERS_MAX, AnswerMode, RawAnswer
from deciders.asked import Asked, Judgement, Put
from deciders.fleet import Fleet
from deciders.prompt import Prompt
from deciders.quoting import clean_text
from deciders.sizing import exposure
from schemas.action import Action
from schemas.decision import Decision, FailedGeneration, GenerationParts, ModelUsed, Status
from schemas.policy import Policy
from schemas.question import Question
from schemas.record import Record
from schemas.route import Route
from schemas.size import VALUE_BYTES_MAX
from schemas.tagged import as_written, tag_for

PROMPT = Prompt("", "")
PARTS = GenerationParts(prompt="0", tokenizer="0", weights="0", sampling="0", schema_="0")
USED = ModelUsed(name="judged", id="judged", revision="0", engine="none")
NOBODY = Fleet(running=())
THRESHOLD = 0.7


def decision_of(question: Question, policy: Policy, raw: RawAnswer, mode: AnswerMode = "full", model: str = "qwen") -> Decision:
    """The decision that this raw answer comes to, where no other model of the chain can be asked."""
    now_ms = question.received_at_ms + 100
    asked = _asked(question, policy, model)
    heard = asked.heard(Put(PROMPT, mode, PARTS, USED), raw)
    if isinstance(heard, FailedGeneration):
        result = as_written(asked.handed_on(heard, NOBODY, now_ms))
        assert result.decision is not None
        return result.decision
    return Judgement(asked, heard, THRESHOLD, now_ms).decision(None, now_ms)


def _asked(question: Question, policy: Policy, model: str) -> Asked:
    route = Route(rule="default", policy=policy.digest)
    tag = tag_for(question, model, route, question.received_at_ms)
    return Asked(Record(question.src, question.key, b"", (), question.received_at_ms), question, tag, policy, model)


def check_inside(decision: Decision, question: Question, policy: Policy) -> None:
    """AssertionError where the decision breaks its own schema, or lets out more than policy and bot allow."""
    written = decision.to_bytes()
    assert Decision.from_bytes(written) == decision and len(written) <= VALUE_BYTES_MAX
    assert (decision.symbol, decision.bot_id, decision.context_id) == (question.symbol, question.bot_id, question.context_id)
    assert len(decision.rationale) <= RATIONALE_CHARACTERS_MAX
    said = decision.rationale.removesuffix("…")  # what is cut says so
    assert said.isprintable() and clean_text(said) == said
    if decision.status is Status.ABSTAINED_BAD_OUTPUT:
        assert decision.route.attempts[-1].outcome.startswith("failed:") and decision.proposed is None
        return
    assert decision.status in (Status.DECIDED, Status.ABSTAINED_LOW_CONFIDENCE, Status.BLOCKED_BY_RISK)
    assert decision.probs is not None and decision.proposed is not None and decision.confidence is not None
    assert math.isclose(decision.confidence, decision.probs.of(decision.proposed.action))
    if decision.acts:
        _check_order(decision, question, policy)


def _check_order(decision: Decision, question: Question, policy: Policy) -> None:
    own, limits, market = question.event.limits, policy.limits, question.event.context
    assert decision.proposed is not None and decision.action is decision.proposed.action
    assert decision.confidence is not None and decision.route.threshold is not None
    assert decision.confidence >= decision.route.threshold >= max(own.min_confidence or 0.0, THRESHOLD)
    if decision.action is Action.CLOSE:
        assert decision.size_pct == 1
        return
    most = limits.max_position_pct if own.max_position_pct is None else min(own.max_position_pct, limits.max_position_pct)
    allowed = limits.allowed_actions if own.allowed_actions is None else own.allowed_actions
    assert decision.action in limits.allowed_actions and decision.action in allowed
    assert 0 < decision.size_pct <= most
    up = 1 if decision.action is Action.BUY else -1
    if (held := exposure(market)) is not None:
        assert abs(held + up * decision.size_pct) <= max(most, abs(held)) + 1e-9
    assert decision.action is Action.BUY or market.market == "perp" or market.holds
    _check_levels(decision, up, limits.collar_pct, own.require_stop or limits.require_stop)


def _check_levels(decision: Decision, up: int, collar_pct: float, stop_required: bool) -> None:
    assert decision.stop_loss is not None or not stop_required
    for level, side in ((decision.stop_loss, -up), (decision.take_profit, up)):
        if level is not None:
            assert decision.price_ref is not None
            assert 0 < (level / decision.price_ref - 1) * side <= collar_pct
