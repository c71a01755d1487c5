"""What is kept of a record once it was read: digests, names and places, never a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from typing import Final

from schemas.context import ContextEvent, read_context
from schemas.decision import Decision
from schemas.headers import REASON, RESERVED, header_text, passed_on
from schemas.origin import Origin, default_context_id, origin_of, run_id_of
from schemas.question import decision_id, sender_key
from schemas.record import Headers, Record
from schemas.refusal import DeadLettered, Reason, Rejected
from schemas.route import Attempt
from schemas.size import CUT_VALUE_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX
from schemas.source import Source

DEAD: Final = "dead:"  # what the status of a dead letter begins with; its reason follows
UNREADABLE: Final = "unreadable"

Trail = tuple[tuple[str, str, float | None], ...]  # of each attempt its model, outcome and milliseconds


@dataclass(frozen=True, slots=True)
class Context:
    """A record of `contexts`, and what its outcome must agree with.

    `content` is the sha256 of its value, `head` of what a cut dead letter keeps of it (empty where nothing may be cut), `name`
    of bot, symbol and id. `refusal`: it can only become a dead letter, for this reason. `rejected`: it can only be refused.
    `origin`: itself, or of a replay its original, at whose time it was received and after which it is named.
    """

    key: bytes | None
    answer_key: bytes
    content: bytes
    head: bytes
    length: int
    tombstone: bool
    logged_ms: int
    origin: Origin
    run_id: str | None
    own_headers: bytes
    context_id: str
    name: bytes | None = None
    experiment: str | None = None
    valid_until_ms: int | None = None
    refusal: Reason | None = None
    rejected: bool = False

    @property
    def letter_key(self) -> bytes | None:
        """The key of its dead letter: as it came, or none."""
        return self.key if self.key is not None and len(self.key) <= KEY_BYTES_MAX else None


@dataclass(frozen=True, slots=True)
class Hop:
    """A record on its way to a model, and the attempts that lie behind it."""

    at: Source
    trail: Trail


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision or a dead letter. `trail` None: it does not say what was tried."""

    at: Source
    status: str
    model: str | None = None
    trail: Trail | None = None

    @property
    def reason(self) -> str | None:
        """A dead letter's reason."""
        return self.status.removeprefix(DEAD) if self.status.startswith(DEAD) else None


def of_context(record: Record) -> Context:
    """What the contract makes of a record of `contexts`."""
    plain = _plain(record)
    try:
        event = read_context(record)
    except DeadLettered as refused:
        return replace(plain, refusal=refused.reason)
    except Rejected as refused:
        sender = refused.envelope
        named = _named(plain, sender.bot_id, sender.symbol, sender.context_id)
        return replace(named, experiment=sender.experiment, rejected=True)
    named = _named(plain, event.bot_id, event.symbol, event.context_id)
    return replace(named, experiment=event.experiment, valid_until_ms=_valid_until_ms(event, plain.origin))


def of_decision(record: Record, decision: Decision) -> Outcome:
    """The outcome that a decision is."""
    model = None if decision.model is None else decision.model.name
    return Outcome(record.source, decision.status.value, model, trail_of(decision.route.attempts))


def of_letter(record: Record) -> Outcome:
    """The outcome that a dead letter is."""
    return Outcome(record.source, DEAD + (header_text(record.headers, REASON) or ""))


def trail_of(attempts: tuple[Attempt, ...]) -> Trail:
    """The attempts, as they are kept."""
    return tuple((each.model, each.outcome, each.ms) for each in attempts)


def own_headers(headers: Headers) -> bytes:
    """A digest of the bot's own headers; empty where there are none."""
    own = [(name.encode("utf-8", "replace"), value) for name, value in headers if name not in RESERVED]
    return blake2b(repr(own).encode(), digest_size=16).digest() if own else b""


def _plain(record: Record) -> Context:
    cut = len(record.value) > VALUE_BYTES_MAX
    return Context(
        key=record.key,
        answer_key=record.key or b"",
        content=sha256(record.value).digest(),
        head=sha256(record.value[:CUT_VALUE_BYTES]).digest() if cut else b"",
        length=len(record.value),
        tombstone=record.tombstone,
        logged_ms=record.timestamp_ms,
        origin=origin_of(record),
        run_id=run_id_of(record),
        own_headers=own_headers(passed_on(record.headers)),
        context_id=default_context_id(record),
    )


def _named(plain: Context, bot_id: str, symbol: str, context_id: str | None) -> Context:
    own_id = plain.context_id if context_id is None else context_id
    name = bytes.fromhex(decision_id(bot_id, symbol, own_id, plain.run_id))
    return replace(plain, answer_key=plain.key or sender_key(bot_id, symbol), context_id=own_id, name=name)


def _valid_until_ms(event: ContextEvent, origin: Origin) -> int | None:
    """Its end where the bot said it; None where that is the policy's."""
    if event.expires_at is not None:
        return event.expires_at
    return None if event.ttl_ms is None else origin.timestamp_ms + event.ttl_ms
