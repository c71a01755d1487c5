"""Why a record cannot be decided: nothing to answer (a dead letter), or a readable context that breaks the contract.

Exception
  DeadLettered   no decision can be written: the record goes to the dead letters as it came
  Rejected       the bot is told: a decision with status REJECTED, naming the field and the rule
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a record became a dead letter; the wire's `reason` header."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_LARGE = "too_large"
    UNKNOWN_SCHEMA_VERSION = "unknown_schema_version"
    NO_SENDER = "no_sender"
    DUPLICATE_CONTEXT_ID = "duplicate_context_id"
    CONTEXT_ID_REUSED = "context_id_reused"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What could be read of a context that was refused: enough to tell its bot.

    `context_id` is None where it is absent or what breaks the contract: the decision then carries the default one.
    """

    bot_id: str
    symbol: str
    context_id: str | None = None
    horizon_s: int | None = None
    experiment: str | None = None
    as_of_ms: int | None = None


class DeadLettered(Exception):
    """No decision can describe this record; `detail` is a sentence for a person, `context_id` its own where it was read."""

    def __init__(self, reason: Reason, detail: str, context_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.context_id = context_id


class Rejected(Exception):
    """A readable context breaks the contract: `field` is the path of what does, `rule` says what it must be."""

    def __init__(self, field: str, rule: str, envelope: Envelope) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule
        self.envelope = envelope
