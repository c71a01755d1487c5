"""One question over HTTP: written once, then answered by the outcome of what was written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from backbone.errors import Doubt
from gateway.intake import Asked
from gateway.outcome import Answered, Dead, Outcome
from gateway.pending import Full, Pending
from gateway.problems import Problem, problem
from schemas.dead_letter import Reason
from schemas.source import Source

RETRY_AFTER_S = 1


class Writes(Protocol):
    """Where questions are written: the gateway's FastStream publisher, or a bot's."""

    async def publish(self, key: bytes, value: bytes, traceparent: str | None = None) -> Source:
        """Where the question lies; Doubt where nobody knows."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The question is written, and nobody has answered it in the time given."""

    asked: Asked
    src: Source | None


class Asking:
    """Asks over Kafka, once a question: what was decided before is not asked again."""

    def __init__(self, publisher: Writes, pending: Pending) -> None:
        self._publisher, self._pending = publisher, pending

    async def ask(self, asked: Asked, wait_s: float, traceparent: str | None = None) -> Answered | NotYet:
        """The decision, or that it is not there yet after `wait_s`. Raises Problem (409, 429, 503) where there will be none."""
        try:
            with self._pending.place():
                if (before := self._pending.named(asked.ids)) is not None:
                    return _same(before, asked)
                until = asyncio.get_running_loop().time() + wait_s
                src = await self._write(asked, traceparent)
                return await self._answer(asked, src, until)
        except Full:
            raise _full() from None

    async def _write(self, asked: Asked, traceparent: str | None) -> Source:
        try:
            return await self._publisher.publish(asked.key, asked.value, traceparent)
        except Doubt as doubt:
            detail = f"{doubt}; it may have been taken: ask again with the same context_id"
            raise problem(503, "not-written", detail, context_id=asked.ids[2]) from doubt

    async def _answer(self, asked: Asked, src: Source, until: float) -> Answered | NotYet:
        outcome = await self._pending.outcome(src, _left_s(until))
        if isinstance(outcome, Dead) and outcome.reason == Reason.DUPLICATE_CONTEXT_ID:
            # The same question stood there before ours: its decision is ours, when it comes.
            outcome = await self._pending.outcome(asked.ids, _left_s(until))
        return _final(outcome, asked, src)


def _left_s(until: float) -> float:
    return max(0.0, until - asyncio.get_running_loop().time())


def _final(outcome: Outcome | None, asked: Asked, src: Source) -> Answered | NotYet:
    if outcome is None:
        return NotYet(asked, src)
    if isinstance(outcome, Answered):
        return outcome
    if outcome.reason == Reason.CONTEXT_ID_REUSED:
        raise _reused(asked)
    raise problem(503, outcome.reason, outcome.detail or "nobody could decide this question", context_id=asked.ids[2])


def _same(before: Answered, asked: Asked) -> Answered:
    if before.content_digest != asked.content_digest:
        raise _reused(asked)
    return before


def _reused(asked: Asked) -> Problem:
    rule = "was sent before with other content: a new question needs a new context_id"
    return problem(409, "context-id-reused", f"context_id {rule}", field="context_id", rule=rule, context_id=asked.ids[2])


def _full() -> Problem:
    error = problem(429, "too-many-waiting", "too many questions wait for their decisions; try again in a second")
    return Problem(error.details, {"Retry-After": str(RETRY_AFTER_S)})
