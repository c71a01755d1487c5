"""Whether an output is about the context that it names: what of it is not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from schemas.canonical import parse_rfc3339
from schemas.context import TTL_MS_MAX
from schemas.decision import Decision
from schemas.headers import CONTEXT_ID, LENGTH, SHA256, TRUNCATED, header_text
from schemas.question import decision_id
from schemas.record import Record
from schemas.refusal import Reason
from schemas.route import Tag
from schemas.size import CUT_VALUE_BYTES
from trading_llm.evidence import Context, own_headers


def decision_differs(record: Record, decision: Decision, context: Context) -> Iterator[str]:
    """What of this decision is not about this context."""
    yield from _carried_differs(record, context)
    named = decision_id(decision.bot_id, decision.symbol, decision.context_id, context.run_id)
    if decision.decision_id != named or context.name != bytes.fromhex(named):
        yield f"is about {decision.bot_id} {decision.symbol} {decision.context_id!r}"
    if decision.content_digest != context.content.hex():
        yield "has the content_digest of another context"
    if decision.experiment != context.experiment:
        yield f"has the experiment {decision.experiment!r}, not {context.experiment!r}"
    if decision.valid_until is not None and _moment_differs(parse_rfc3339(decision.valid_until), context):
        yield f"is valid until {decision.valid_until}, which the context does not say"


def hop_differs(record: Record, tag: Tag, context: Context) -> Iterator[str]:
    """What of this tagged record is not about this context."""
    yield from _carried_differs(record, context)
    if sha256(record.value).digest() != context.content:
        yield "holds other bytes than the context"
    if tag.received_at_ms != context.origin.timestamp_ms:
        yield f"says it was received at {tag.received_at_ms}, not at {context.origin.timestamp_ms}"
    if _moment_differs(tag.valid_until_ms, context):
        yield f"is valid until {tag.valid_until_ms}, which the context does not say"


def letter_differs(record: Record, reason: str | None, context: Context) -> Iterator[str]:
    """What of this dead letter is not about this context. Whoever gives a record up need not have read its own id."""
    given_up = reason == Reason.UNDECIDABLE
    if record.key not in ({context.letter_key, context.answer_key} if given_up else {context.letter_key}):
        yield f"lies under the key {record.key!r}"
    own_id = header_text(record.headers, CONTEXT_ID)
    if own_id is not None and own_id not in ({context.context_id, str(context.origin)} if given_up else {context.context_id}):
        yield f"names the context {own_id!r}"
    if own_headers(record.headers) != context.own_headers:
        yield "has not the bot's own headers"
    # The client library writes no record without key and value: that one comes as empty.
    if record.key is not None and record.tombstone != context.tombstone:
        yield "is null where the context was empty, or the other way round"
    if not _is_kept(record, context):
        yield "is not what came, nor the cut of it that it says"


def _carried_differs(record: Record, context: Context) -> Iterator[str]:
    if record.key != context.answer_key:
        yield f"lies under the key {record.key!r}"
    own_id = header_text(record.headers, CONTEXT_ID)
    if own_id is not None and own_id != context.context_id:
        yield f"names the context {own_id!r}"
    if own_headers(record.headers) != context.own_headers:
        yield "has not the bot's own headers"


def _moment_differs(valid_until_ms: int, context: Context) -> bool:
    if context.valid_until_ms is None:  # the policy's, which knows the same bound
        return valid_until_ms > context.origin.timestamp_ms + TTL_MS_MAX
    return valid_until_ms != context.valid_until_ms


def _is_kept(record: Record, context: Context) -> bool:
    held = sha256(record.value).digest()
    if header_text(record.headers, TRUNCATED) is None:
        return held == context.content
    told = header_text(record.headers, LENGTH), header_text(record.headers, SHA256)
    return len(record.value) == CUT_VALUE_BYTES and held == context.head and told == (str(context.length), context.content.hex())
