"""A question with everything resolved: what routing, a model and the limits work on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from schemas.canonical import canonical_json, digest, rfc3339
from schemas.context import ContextEvent
from schemas.origin import origin_of, run_id_of
from schemas.record import Record
from schemas.refusal import Envelope, Rejected
from schemas.source import Source

if TYPE_CHECKING:
    from schemas.policy import Policy

RUN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """One context to be decided. `src` is its record in `contexts`; all times are epoch milliseconds.

    `run_id` is the replay's, and None where it is live.
    """

    event: ContextEvent
    src: Source
    run_id: str | None
    context_id: str
    content_digest: str
    key: bytes
    received_at_ms: int
    as_of_ms: int
    valid_until_ms: int
    horizon_s: int

    @property
    def bot_id(self) -> str:
        """Who asks."""
        return self.event.bot_id

    @property
    def symbol(self) -> str:
        """About what."""
        return self.event.symbol

    @property
    def is_replayed(self) -> bool:
        """Whether it is asked again, and acts on nothing: today's clock and today's halts are not its own."""
        return self.run_id is not None

    def left_ms(self, now_ms: int) -> int | None:
        """How long an answer to it may still act; None where it is replayed, which has all the time that it needs."""
        return None if self.is_replayed else self.valid_until_ms - now_ms

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has passed: from `valid_until` on nothing that acts may go out."""
        left_ms = self.left_ms(now_ms)
        return left_ms is not None and left_ms <= 0

    @property
    def decision_id(self) -> str:
        """The id of its decision: the same whenever and wherever it is computed."""
        return decision_id(self.bot_id, self.symbol, self.context_id, self.run_id)


def decision_id(bot_id: str, symbol: str, context_id: str, run_id: str | None = None) -> str:
    """The digest of what names a question, and of the run where it is a replay."""
    named = [bot_id, symbol, context_id]
    return digest(canonical_json(named if run_id is None else [*named, run_id]))


def sender_key(bot_id: str, symbol: str) -> bytes:
    """The key of a record that came without one."""
    return f"{bot_id}:{symbol}".encode()


def resolve(event: ContextEvent, record: Record, policy: Policy) -> Question:
    """The question that `event`, read from this record of `contexts`, asks.

    Raises Rejected for a live context whose `as_of` is older than `max_age_ms` (its own, else the policy's), and for a replayed
    one without the name of its run.
    """
    origin = origin_of(record)
    received_at_ms = origin.timestamp_ms
    question = Question(
        event=event,
        src=record.source,
        run_id=run_id_of(record),
        context_id=event.context_id if event.context_id is not None else str(origin),
        content_digest=digest(record.value),
        key=record.key or sender_key(event.bot_id, event.symbol),
        received_at_ms=received_at_ms,
        as_of_ms=received_at_ms if event.as_of is None else event.as_of,
        valid_until_ms=_valid_until_ms(event, received_at_ms, policy),
        horizon_s=policy.defaults.horizon_s if event.horizon_s is None else event.horizon_s,
    )
    if question.is_replayed:
        _check_run(question)
    else:
        _check_age(question, policy)
    return question


def _valid_until_ms(event: ContextEvent, received_at_ms: int, policy: Policy) -> int:
    if event.expires_at is not None:
        return event.expires_at
    return received_at_ms + (policy.defaults.ttl_ms if event.ttl_ms is None else event.ttl_ms)


def _check_run(question: Question) -> None:
    if RUN_ID.fullmatch(question.run_id or "") is None:
        rule = "must be a header of 1 to 128 of A-Z a-z 0-9 . _ : -, which names the replay"
        raise Rejected("run-id", rule, envelope_of(question.event, question.received_at_ms))


def _check_age(question: Question, policy: Policy) -> None:
    event = question.event
    oldest_ms = policy.defaults.max_age_ms if event.max_age_ms is None else event.max_age_ms
    if oldest_ms is None or question.received_at_ms - question.as_of_ms <= oldest_ms:
        return
    rule = f"is more than max_age_ms {oldest_ms} older than the log's {rfc3339(question.received_at_ms)}"
    raise Rejected("as_of", rule, envelope_of(event, question.received_at_ms))


def envelope_of(event: ContextEvent, received_at_ms: int) -> Envelope:
    """What a refusal keeps of a context that could be read whole."""
    return Envelope(
        event.bot_id,
        event.symbol,
        context_id=event.context_id,
        horizon_s=event.horizon_s,
        experiment=event.experiment,
        as_of_ms=received_at_ms if event.as_of is None else event.as_of,
    )
