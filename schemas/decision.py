"""The decision: value of `decisions`, answer of `POST /decide`; its fields stand in the contract's order."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from schemas import headers as names
from schemas.action import Action as Action
from schemas.question import sender_key
from schemas.record import Output, Record
from schemas.route import MomentText, Ms, Name, Route, Sentence
from schemas.size import (
    CLAMPS_MAX,
    DETAIL_CHARACTERS_MAX,
    FAILED_MAX,
    FAILED_TEXT_BYTES_MAX,
    GENERATION_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    TRIMMED_MAX,
    clip,
    clip_bytes,
    clip_json,
)
from schemas.source import Source
from schemas.topic import Side


class Status(StrEnum):
    """What became of a context."""

    DECIDED = "DECIDED"
    ABSTAINED_LOW_CONFIDENCE = "ABSTAINED_LOW_CONFIDENCE"
    ABSTAINED_BAD_OUTPUT = "ABSTAINED_BAD_OUTPUT"
    ABSTAINED_NO_MODEL = "ABSTAINED_NO_MODEL"
    BLOCKED_BY_RISK = "BLOCKED_BY_RISK"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    HALTED = "HALTED"
    REJECTED = "REJECTED"


def _clipped_detail(value: object) -> object:
    return clip(value, DETAIL_CHARACTERS_MAX) if isinstance(value, str) else value


def _clipped_answer(value: object) -> object:
    return clip_bytes(value, GENERATION_BYTES_MAX) if isinstance(value, str) else value


def _clipped_failure(value: object) -> object:
    return clip_json(value, FAILED_TEXT_BYTES_MAX) if isinstance(value, str) else value


def _clipped_paths(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    return tuple(clip(str(path), NAME_CHARACTERS_MAX) for path in value[:TRIMMED_MAX])


Detail = Annotated[str, BeforeValidator(_clipped_detail), Field(max_length=DETAIL_CHARACTERS_MAX)]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
ClampValue = float | bool | Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)] | tuple[Action, ...] | None


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class Probs(_Message):
    """The model's own probability of each label; they add up to 1."""

    BUY: Unit
    SELL: Unit
    HOLD: Unit
    CLOSE: Unit

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.BUY + self.SELL + self.HOLD + self.CLOSE - 1) > 1e-3:
            raise ValueError("the probabilities must add up to 1")
        return self

    def of(self, action: Action) -> float:
        """This action's probability."""
        probability: float = getattr(self, action)
        return probability


class Proposed(_Message):
    """What the model said, before thresholds and limits; `size_pct` None is the policy's default size."""

    action: Action
    size_pct: Finite | None = None
    stop_loss: Finite | None = None
    take_profit: Finite | None = None


class ModelUsed(_Message):
    """The model that really answered."""

    name: Name
    id: Name
    revision: Name
    adapter: Name | None = None
    engine: Name
    cutoff: Literal["past_cutoff", "in_window", "unknown"] = "unknown"


class Clamp(_Message):
    """What a limit changed."""

    limit: Name
    before: ClampValue = None
    after: ClampValue = None


class Timings(_Message):
    """Milliseconds: from the log to the choice, from there to the engine, in the engine, and in all."""

    routed: Ms | None = None
    waited: Ms | None = None
    answered: Ms | None = None
    total: Ms | None = None


class Tokens(_Message):
    """Tokens of the generation; 0 where no model answered."""

    prompt: Annotated[int, Field(ge=0)] = 0
    cached: Annotated[int, Field(ge=0)] = 0
    completion: Annotated[int, Field(ge=0)] = 0


class GenerationParts(_Message):
    """The digests that a generation's key is made of."""

    prompt: Name
    tokenizer: Name
    weights: Name
    adapter: Name | None = None
    sampling: Name
    schema_: Name = Field(alias="schema")

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_serialization_defaults_required=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


class FailedGeneration(_Message):
    """An attempt that gave no answer; `why` is the attempt's outcome without `failed:`."""

    model: Name
    key: Name | None = None
    parts: GenerationParts | None = None
    why: Name
    text: Annotated[str, BeforeValidator(_clipped_failure)] = ""


class Generation(_Message):
    """The raw answer under its content key, and the attempts before it.

    What is too long is cut: `text` to 16 KiB of UTF-8, `trimmed` to 32 paths of 128 characters.
    """

    key: Name | None = None
    parts: GenerationParts | None = None
    text: Annotated[str, BeforeValidator(_clipped_answer)] = ""
    trimmed: Annotated[tuple[Name, ...], BeforeValidator(_clipped_paths), Field(max_length=TRIMMED_MAX)] = ()
    failed: Annotated[tuple[FailedGeneration, ...], Field(max_length=FAILED_MAX)] = ()
    recorded: bool = False


class Decision(_Message):
    """One outcome of one context. `action` is HOLD unless `status` is DECIDED."""

    schema_version: Literal[1] = 1
    decision_id: Name
    context_id: Annotated[str, Field(max_length=512)]
    content_digest: Name
    bot_id: Name
    symbol: Name
    horizon_s: int
    experiment: Name | None = None
    status: Status
    action: Action = Action.HOLD
    size_pct: Unit = 0.0
    stop_loss: Finite | None = None
    take_profit: Finite | None = None
    confidence: Unit | None = None
    confidence_source: Name | None = None
    probs: Probs | None = None
    proposed: Proposed | None = None
    rationale: Sentence = ""
    model: ModelUsed | None = None
    route: Route
    clamps: Annotated[tuple[Clamp, ...], Field(max_length=CLAMPS_MAX)] = ()
    reason: Detail | None = None
    as_of: MomentText | None
    decided_at: MomentText
    valid_until: MomentText | None
    price_ref: Finite | None = None
    timings_ms: Timings = Timings()
    tokens: Tokens = Tokens()
    generation: Generation | None = None

    @model_validator(mode="after")
    def _holds_unless_decided(self) -> Self:
        if self.status is not Status.DECIDED and (self.action is not Action.HOLD or self.size_pct):
            raise ValueError(f"a decision that is {self.status} must be HOLD with size 0")
        if self.status is not Status.REJECTED and (self.as_of is None or self.valid_until is None):
            raise ValueError("as_of and valid_until may be null only where the status is REJECTED")
        return self

    @property
    def acts(self) -> bool:
        """Whether somebody may trade on it: DECIDED and not HOLD."""
        return self.status is Status.DECIDED and self.action is not Action.HOLD

    def to_bytes(self) -> bytes:
        """The record's value: JSON, the fields in the contract's order."""
        return _DECISION.dump_json(self)

    @classmethod
    def from_bytes(cls, value: bytes) -> Decision:
        """The decision in a record's value; ValueError for anything else."""
        return _DECISION.validate_json(value)


_DECISION = TypeAdapter(Decision)
_FAILED = TypeAdapter(tuple[FailedGeneration, ...])


def failed_header(failed: tuple[FailedGeneration, ...]) -> bytes:
    """The `failed` header: the newest attempts that gave no answer, 3 at most."""
    return _FAILED.dump_json(failed[-FAILED_MAX:])


def failed_of(record: Record) -> tuple[FailedGeneration, ...]:
    """The attempts that a tagged record carries; none where it carries none. ValueError where the header is broken."""
    value = names.header(record.headers, names.FAILED)
    return () if value is None else _FAILED.validate_json(value)


def decision_output(record: Record, src: Source, decision: Decision) -> Output:
    """The record of `decisions` that answers `src`; `record` is what is being handled, tagged or not."""
    side = Side.of(src.topic)
    own = (
        (names.SRC, str(src).encode()),
        (names.CONTEXT_ID, decision.context_id.encode()),
        (names.CONTENT_TYPE, names.JSON_CONTENT),
        (names.SCHEMA, names.DECISION_SCHEMA),
    )
    return Output(
        topic=side.decisions,
        key=record.key or sender_key(decision.bot_id, decision.symbol),
        value=decision.to_bytes(),
        headers=own + names.passed_on(record.headers, side),
    )
