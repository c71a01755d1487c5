"""One question as a worker has it, and every way it can end: live and in a replay. Pure: time and halts come in as arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from deciders.answer import Answer, AnswerMode, BadAnswer, RawAnswer, read_answer
from deciders.answer import Asked as Against
from deciders.features import compute_features
from deciders.fleet import Fleet
from deciders.identity import generation_key
from deciders.limits import Bounds, clamp
from deciders.outcome import Moment, Said, answered, bad_output, expired, halted
from deciders.prompt import Prompt, render
from deciders.routing import next_model
from schemas.catalogue import Template
from schemas.decision import (
    Decision,
    FailedGeneration,
    Generation,
    GenerationParts,
    ModelUsed,
    Timings,
    Tokens,
    decision_output,
)
from schemas.halt import Halt, HaltMode
from schemas.policy import Policy
from schemas.question import Question
from schemas.record import Record
from schemas.result import Result
from schemas.route import Attempt, Tag
from schemas.size import RATIONALE_CHARACTERS_MAX, clip
from schemas.tagged import Hop

NO_HALTS_KNOWN = Halt(scope="control", why="topic control could not be read, so nobody knows whether trading is halted")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The engine gave nothing: the attempt's outcome, without `failed:`, and a sentence for people."""

    outcome: Literal["hung", "raised"]
    why: str


@dataclass(frozen=True, slots=True)
class Put:
    """What was put to a model, the digests that its answer is kept under, and the model as a decision names it."""

    prompt: Prompt
    mode: AnswerMode
    parts: GenerationParts
    used: ModelUsed

    @property
    def key(self) -> str:
        """The content key of its generation."""
        return generation_key(self.parts)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of this worker's model, with the policy it was routed under and the attempts before it."""

    record: Record
    question: Question
    tag: Tag
    policy: Policy
    model: str
    failed: tuple[FailedGeneration, ...] = ()
    asked_at_ms: int = 0

    def timings(self, now_ms: int) -> Timings:
        """How long each part of the way took, up to now."""
        asked_ms, routed_ms = self.asked_at_ms or now_ms, self.tag.routed_at_ms
        # A replayed question was received when its original was: what it has waited since says nothing of this run.
        began_ms = routed_ms if self.question.is_replayed else self.question.received_at_ms
        return Timings(
            routed=None if self.question.is_replayed else max(0, routed_ms - began_ms),
            waited=max(0, asked_ms - routed_ms),
            answered=max(0, now_ms - asked_ms) if self.asked_at_ms else None,
            total=max(0, now_ms - began_ms),
        )

    def prompt(self, template: Template) -> Prompt:
        """What its model is asked."""
        return render(template, self.question, compute_features(self.question.event.context, self.policy.features))

    def ended(self, halt: Halt | None) -> Result | None:
        """What ends it before it is asked, if anything does at `asked_at_ms`."""
        if self.question.is_over(self.asked_at_ms):
            return self.expired(self.asked_at_ms)
        if halt is not None and halt.mode is HaltMode.FULL:
            return self.halted(halt, self.asked_at_ms)
        return None

    def heard(self, put: Put, raw: RawAnswer | NoAnswer) -> Generated | FailedGeneration:
        """What the engine gave, read: an answer, or the attempt's failure."""
        if isinstance(raw, NoAnswer):
            return self._failure(put, raw.outcome, raw.why)
        price, size = self.question.event.context.price_ref, self.policy.limits.default_size_pct
        answer = read_answer(raw, Against(self.question.symbol, price, put.mode, size))
        if isinstance(answer, BadAnswer):
            return self._failure(put, answer.outcome, raw.text)
        return Generated(answer, raw, put)

    def _failure(self, put: Put, why: str, text: str) -> FailedGeneration:
        return FailedGeneration(model=self.model, key=put.key, parts=put.parts, why=why, text=text)

    def expired(self, now_ms: int) -> Result:
        """It ends unasked, or its attempt came to nothing in time."""
        return self._decided(expired(self.question, self.tag.route, Moment(now_ms, self.timings(now_ms))))

    def halted(self, halt: Halt, now_ms: int) -> Result:
        """It ends unasked: trading is switched off."""
        return self._decided(halted(self.question, self.tag.route, halt, Moment(now_ms, self.timings(now_ms))))

    def unasked(self, why: str) -> Asked:
        """The same question, which its model is not asked: its route says why."""
        route = self.tag.route
        reason = clip("; ".join(filter(None, (route.reason, f"{self.model}: {why}"))), RATIONALE_CHARACTERS_MAX)
        return replace(self, asked_at_ms=0, tag=self.tag.with_route(route.model_copy(update={"reason": reason})))

    def tried(self, outcome: str, now_ms: int) -> Asked:
        """The same question after one attempt more."""
        attempt = Attempt(model=self.model, outcome=outcome, ms=max(0, now_ms - self.asked_at_ms))
        return replace(self, tag=self.tag.with_route(self.tag.route.tried(attempt)))

    def handed_on(self, failure: FailedGeneration, fleet: Fleet, now_ms: int) -> Hop | Result:
        """This model failed: the next of the chain is asked, with the trail; at its end there is no valid answer."""
        after = replace(self.tried(f"failed:{failure.why}", now_ms), failed=(*self.failed, failure)[-3:])
        following = next_model(after.tag, self.question, self.policy, fleet)
        if following is not None:
            return Hop(self.record, self.question, following, after.tag, after.failed)
        moment = Moment(now_ms, after.timings(now_ms))
        decision = bad_output(self.question, after.tag.route, moment, Generation(failed=after.failed))
        return after._decided(decision)

    def _decided(self, decision: Decision) -> Result:
        return Result(self.record, (decision_output(self.record, self.question.src, decision),), decision=decision)


@dataclass(frozen=True, slots=True)
class Generated:
    """A valid answer with what it was generated from."""

    answer: Answer
    raw: RawAnswer
    put: Put

    def said(self, failed: tuple[FailedGeneration, ...]) -> Said:
        """What a decision keeps of it."""
        put, text = self.put, self.raw.text
        generation = Generation(key=put.key, parts=put.parts, text=text, trimmed=put.prompt.trimmed, failed=failed)
        return Said(
            model=put.used,
            proposed=self.answer.proposed,
            confidence=self.answer.confidence,
            confidence_source="label",
            probs=self.answer.probs,
            rationale=self.answer.rationale,
            tokens=Tokens(prompt=self.raw.prompt_tokens, cached=self.raw.cached_tokens, completion=self.raw.completion_tokens),
            generation=generation,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """A valid answer to a question; what may be published of it depends on the time and on the halts."""

    asked: Asked
    generated: Generated
    min_confidence: float
    answered_at_ms: int

    def decision(self, halt: Halt | None, log_ms: int) -> Decision:
        """What goes out at this log time under this halt."""
        question, after = self.asked.question, self.asked.tried("answered", self.answered_at_ms)
        rule = self.asked.tag.route.rule
        bounds = Bounds(self.asked.policy, self.asked.model, self.min_confidence, halt, log_ms, rule)
        limited = clamp(self.generated.answer.proposed, self.generated.answer.confidence, question, bounds)
        said = self.generated.said(self.asked.failed)
        moment = Moment(max(log_ms, self.answered_at_ms), self.asked.timings(self.answered_at_ms))
        return answered(question, after.tag.route, said, limited, moment)

    def result(self, decision: Decision) -> Result:
        """The outcome that writes it; a model's answer waits for the earlier ones of its key."""
        output = decision_output(self.asked.record, self.asked.question.src, decision)
        ordered = decision.status not in ("EXPIRED", "HALTED")
        return Result(self.asked.record, (output,), ordered=ordered, decision=decision)
