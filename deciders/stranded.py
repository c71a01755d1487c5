"""What becomes of one context that waits for a model that died: the next of its chain, an end, or it goes on waiting. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deciders.fleet import Fleet
from deciders.outcome import Moment, expired, no_model
from deciders.routing import NoModel, next_asked, seen_again
from schemas.dead_letter import dead_letter_output
from schemas.decision import Decision, FailedGeneration, Timings, decision_output, failed_of
from schemas.headers import CONTEXT_ID, header_text
from schemas.policy import Policy
from schemas.question import Question
from schemas.record import Record
from schemas.refusal import DeadLettered, Reason, Rejected
from schemas.result import Result
from schemas.route import Attempt, Route, Tag
from schemas.size import RATIONALE_CHARACTERS_MAX, clip
from schemas.source import Source
from schemas.status import HealthState
from schemas.tagged import Hop, as_written, question_from_tag, source_of

# With less time than this no model can have answered (`deciders/health.py: FAIR_MS`): that nobody was there is said while it
# can still be heard.
HOPELESS_MS: Final = 1_000
EXPIRED: Final = "expired"
NO_MODEL: Final = "no_model"
UNDECIDABLE: Final = "undecidable"

PolicyOf = Callable[[str | None], Policy | None]


@dataclass(frozen=True, slots=True)
class Rescued:
    """What it came to, and in a word: the model that is asked now, or `expired`, `no_model`, `undecidable`."""

    came: Hop | Result
    to: str

    @property
    def result(self) -> Result:
        """As it is written."""
        return as_written(self.came)


@dataclass(frozen=True, slots=True)
class Stranded:
    """A context that waits for `model`, which died."""

    record: Record
    model: str
    question: Question
    tag: Tag
    failed: tuple[FailedGeneration, ...]

    def rescued(self, fleet: Fleet, policy_of: PolicyOf, now_ms: int) -> Rescued | None:
        """What becomes of it now; None: it goes on waiting, since nobody else can be asked and its model may yet come back.

        Its deadline ends that wait, an hour after it came at the latest.
        """
        if self.question.is_over(now_ms):
            return self._decided(expired(self.question, self.tag.route, self._moment(now_ms)), EXPIRED)
        if fleet.of(self.model).state is not HealthState.DOWN:
            return None  # its workers are back, and have the lane again in a moment
        tried = self._tried(now_ms)
        policy = policy_of(tried.route.policy)
        following = None if policy is None else next_asked(tried, self.question, policy, fleet)
        if following is not None:
            return self._sent_to(following, tried, fleet)
        if self.question.valid_until_ms - now_ms > HOPELESS_MS:
            return None
        nobody = NoModel(tried.chosen, "", self._seen(tried.route, (), fleet, "nobody else can be asked"))
        return self._decided(no_model(self.question, nobody, self._moment(now_ms)), NO_MODEL)

    def _tried(self, now_ms: int) -> Tag:
        attempt = Attempt(model=self.model, outcome="rescued", ms=max(0, now_ms - self.record.timestamp_ms))
        return self.tag.with_route(self.tag.route.tried(attempt))

    def _sent_to(self, model: str, tried: Tag, fleet: Fleet) -> Rescued:
        seen = self._seen(tried.route, (model,), fleet, f"{model} is asked")
        return Rescued(Hop(self.record, self.question, model, tried.with_route(seen), self.failed), model)

    def _seen(self, route: Route, others: tuple[str, ...], fleet: Fleet, then: str) -> Route:
        # With the candidates as they stand now: whether this is a probe is read from them.
        seen = seen_again(route, (self.model, *others), fleet)
        reason = f"{route.reason}; {self.model} {fleet.of(self.model).out} with it waiting, so {then}"
        return seen.model_copy(update={"reason": clip(reason, RATIONALE_CHARACTERS_MAX)})

    def _moment(self, now_ms: int) -> Moment:
        came_ms, routed_ms = self.question.received_at_ms, self.tag.routed_at_ms
        timings = Timings(routed=max(0, routed_ms - came_ms), waited=max(0, now_ms - routed_ms), total=max(0, now_ms - came_ms))
        return Moment(now_ms, timings)

    def _decided(self, decision: Decision, to: str) -> Rescued:
        output = decision_output(self.record, self.question.src, decision)
        return Rescued(Result(self.record, (output,), decision=decision), to)


def read_stranded(record: Record, model: str) -> Stranded | Rescued:
    """The context in a record of this model's topic; a dead letter where it cannot be read, as its worker would write it."""
    try:
        return Stranded(record, model, *question_from_tag(record), failed_of(record))
    except (DeadLettered, Rejected, ValueError) as refusal:
        detail = f"its record on {record.source.topic} cannot be read: {refusal}"
    letter = dead_letter_output(record, _source(record), Reason.UNDECIDABLE, detail, header_text(record.headers, CONTEXT_ID))
    return Rescued(Result(record, (letter,)), UNDECIDABLE)


def _source(record: Record) -> Source:
    try:
        return source_of(record)
    except ValueError:
        return record.source
