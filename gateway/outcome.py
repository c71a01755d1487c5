"""What comes back for a question: its decision, or the dead letter that its record became."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import from_json

from gateway.intake import Ids
from schemas.dead_letter import Reason
from schemas.headers import DETAIL, REASON, SRC, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import DECISIONS


@dataclass(frozen=True, slots=True)
class Answered:
    """A decision as it stands in `decisions`, and what of it is needed without reading it again."""

    src: Source
    ids: Ids
    content_digest: str
    model: str
    status: str
    action: str
    value: bytes
    logged_at_ms: int


@dataclass(frozen=True, slots=True)
class Dead:
    """A record that nobody can decide. `reason` is one of the contract's, or one of a later version's."""

    src: Source
    reason: str
    detail: str


Outcome = Answered | Dead


def outcome_of(record: Record) -> Outcome:
    """The outcome in a record of `decisions` or `contexts.dlq`; ValueError where it is none of the pipeline's."""
    src = Source.parse(header_text(record.headers, SRC) or "")
    if record.source.topic != DECISIONS:
        reason = header_text(record.headers, REASON) or Reason.UNDECIDABLE
        return Dead(src, reason, header_text(record.headers, DETAIL) or "")
    decision = from_json(record.value)
    try:
        return Answered(
            src=src,
            ids=(decision["bot_id"], decision["symbol"], decision["context_id"]),
            content_digest=decision["content_digest"],
            model=(decision["model"] or {}).get("name", ""),
            status=decision["status"],
            action=decision["action"],
            value=record.value,
            logged_at_ms=record.timestamp_ms,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{record.source} is no decision: {error!r}") from None
