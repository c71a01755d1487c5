"""The context event: a bot's question, value of `contexts` and body of `POST /decide`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError, WithJsonSchema
from pydantic_core import from_json

from schemas.action import Action
from schemas.broken_rule import (
    UNKNOWN_FIELD,
    BrokenRule,
    content_flaw,
    field_path,
    time_flaw,
    validation_flaw,
)
from schemas.market import Instant, MarketContext, instant_ms
from schemas.origin import origin_of
from schemas.record import Record
from schemas.refusal import DeadLettered, Envelope, Reason, Rejected
from schemas.size import KEY_BYTES_MAX, VALUE_BYTES_MAX

BOT_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
SYMBOL: Final = re.compile(r"[A-Za-z0-9._/:-]{1,64}", re.ASCII)
CONTEXT_ID_CHARACTERS_MAX: Final = 128
EXPERIMENT_CHARACTERS_MAX: Final = 128
MODEL_NAME_CHARACTERS_MAX: Final = 64
TTL_MS_MAX: Final = 3_600_000  # no question is worth an answer after an hour
HORIZON_S_MAX: Final = 31_536_000  # a year


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be RFC 3339 with an offset, such as 2026-01-31T12:00:00.000Z")
    return instant_ms(value)


TextInstant = Annotated[int, BeforeValidator(_only_text), WithJsonSchema({"type": "string", "format": "date-time"})]
Actions = Annotated[tuple[Annotated[Action, Strict(False)], ...], Strict(False), Field(fail_fast=True)]
Fraction = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]


class RiskLimits(BaseModel):
    """What a bot asks to be held to; it may only tighten the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_position_pct: Fraction | None = None
    allowed_actions: Actions | None = None
    min_confidence: Fraction | None = None
    require_stop: bool | None = None


class ContextEvent(BaseModel):
    """One question, as its bot wrote it; times are epoch milliseconds once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    context: MarketContext
    bot_id: Annotated[str, Field(pattern=f"^{BOT_ID.pattern}$")]
    symbol: Annotated[str, Field(pattern=f"^{SYMBOL.pattern}$")]
    context_id: Annotated[str, Field(min_length=1, max_length=CONTEXT_ID_CHARACTERS_MAX)] | None = None
    model_preference: Annotated[str, Field(min_length=1, max_length=MODEL_NAME_CHARACTERS_MAX)] | None = None
    fallback: bool = True
    risk_limits: RiskLimits | None = None
    as_of: Instant | None = None
    ttl_ms: Annotated[int, Field(ge=0, le=TTL_MS_MAX)] | None = None
    expires_at: TextInstant | None = None
    max_age_ms: Annotated[int, Field(ge=0)] | None = None
    horizon_s: Annotated[int, Field(ge=1, le=HORIZON_S_MAX)] | None = None
    supersede: bool = False
    experiment: Annotated[str, Field(max_length=EXPERIMENT_CHARACTERS_MAX)] | None = None
    schema_version: Annotated[int, Field(ge=1, le=1)] = 1

    @property
    def limits(self) -> RiskLimits:
        """The bot's limits; none asked for is all None."""
        return self.risk_limits or NO_LIMITS


NO_LIMITS: Final = RiskLimits()
ENVELOPE: Final = frozenset(ContextEvent.model_fields)


def read_context(record: Record) -> ContextEvent:
    """The question in a record of `contexts`, or of `replay.contexts`, where it is dated by its original.

    Raises DeadLettered where nobody can be answered, Rejected where the bot can be told what is wrong.
    """
    if record.key is not None and len(record.key) > KEY_BYTES_MAX:
        raise DeadLettered(Reason.TOO_LARGE, f"the key has {len(record.key)} bytes; at most {KEY_BYTES_MAX} are taken")
    return read_event(record.value, origin_of(record).timestamp_ms)


def read_event(value: bytes, logged_at_ms: int) -> ContextEvent:
    """The question in these bytes, taken by the log at `logged_at_ms`; errors as `read_context`."""
    body = _parsed(value)
    envelope = _sender(body)
    try:
        _check_content(body, len(value))
        event = _validated(body)
        if flaw := time_flaw(event, logged_at_ms):
            raise BrokenRule(*flaw)
    except BrokenRule as broken:
        raise Rejected(broken.field, broken.rule, _envelope(body, envelope, broken, logged_at_ms)) from None
    return event


def _parsed(value: bytes) -> dict[str, Any]:
    if len(value) > VALUE_BYTES_MAX:
        raise DeadLettered(Reason.TOO_LARGE, f"the value has {len(value)} bytes; at most {VALUE_BYTES_MAX} are taken")
    try:
        body = from_json(value)
    except ValueError as error:
        raise DeadLettered(Reason.NOT_JSON, f"the value is no JSON in UTF-8: {error}") from None
    if not isinstance(body, dict):
        raise DeadLettered(Reason.NOT_AN_OBJECT, "the value must be a JSON object")
    version = body.get("schema_version", 1)
    if type(version) is not int or version != 1:
        raise DeadLettered(Reason.UNKNOWN_SCHEMA_VERSION, "schema_version must be the integer 1")
    return body


def _sender(body: dict[str, Any]) -> tuple[str, str]:
    """The bot and the symbol: without them nobody can be told anything."""
    for name, form, rule in (("bot_id", BOT_ID, "A-Z a-z 0-9 . _ -"), ("symbol", SYMBOL, "A-Z a-z 0-9 . _ - / :")):
        own = body.get(name)
        if not isinstance(own, str) or form.fullmatch(own) is None:
            raise DeadLettered(Reason.NO_SENDER, f"{name} must be a string of 1 to 64 of {rule}")
    return body["bot_id"], body["symbol"]


def _check_content(body: dict[str, Any], value_bytes: int) -> None:
    for name in body:
        if name not in ENVELOPE:
            raise BrokenRule(field_path((name,)), UNKNOWN_FIELD)
    context = body.get("context")
    if isinstance(context, dict) and (flaw := content_flaw(context, value_bytes)):
        raise BrokenRule(*flaw)


def _validated(body: dict[str, Any]) -> ContextEvent:
    try:
        return ContextEvent.model_validate(body)
    except ValidationError as error:
        raise BrokenRule(*validation_flaw(error)) from None


def _envelope(body: dict[str, Any], sender: tuple[str, str], broken: BrokenRule, logged_at_ms: int) -> Envelope:
    """What is sound of a refused context's envelope."""
    own, experiment, horizon_s = body.get("context_id"), body.get("experiment"), body.get("horizon_s")
    return Envelope(
        *sender,
        context_id=own if isinstance(own, str) and 1 <= len(own) <= CONTEXT_ID_CHARACTERS_MAX else None,
        horizon_s=horizon_s if type(horizon_s) is int and 1 <= horizon_s <= HORIZON_S_MAX else None,
        experiment=experiment if isinstance(experiment, str) and len(experiment) <= EXPERIMENT_CHARACTERS_MAX else None,
        as_of_ms=_sound_as_of(body, broken, logged_at_ms),
    )


def _sound_as_of(body: dict[str, Any], broken: BrokenRule, logged_at_ms: int) -> int | None:
    if body.get("as_of") is None:
        return logged_at_ms
    if broken.field == "as_of":
        return None
    try:
        return instant_ms(body["as_of"])
    except ValueError:
        return None
