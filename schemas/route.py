"""The trail of a choice: `route` in a decision, and the tag a context carries to a model."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from schemas.halt import Halt
from schemas.size import ATTEMPTS_MAX, CANDIDATES_MAX, NAME_CHARACTERS_MAX, RATIONALE_CHARACTERS_MAX, clip
from schemas.status import HealthState

FEATURES_MAX: Final = 32

Unknown = Literal["unknown"]
Feature = bool | Annotated[float, Field(allow_inf_nan=False)] | Unknown
AttemptOutcome = Literal[
    "answered",
    "rescued",
    "failed:hung",
    "failed:raised",
    "failed:not_finite",
    "failed:cut_off",
    "failed:wrong_count",
    "failed:wrong_symbol",
    "failed:too_long",
    "failed:engine_died",
]


def _clipped_name(value: object) -> object:
    return clip(value, NAME_CHARACTERS_MAX) if isinstance(value, str) else value


def _clipped_sentence(value: object) -> object:
    return clip(value, RATIONALE_CHARACTERS_MAX) if isinstance(value, str) else value


Name = Annotated[str, BeforeValidator(_clipped_name), Field(max_length=NAME_CHARACTERS_MAX)]
Sentence = Annotated[str, BeforeValidator(_clipped_sentence), Field(max_length=RATIONALE_CHARACTERS_MAX)]
Ms = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MomentText = Annotated[str, Field(max_length=40)]


class Candidate(BaseModel):
    """A model that was possible; `expected_wait_ms` is None where nobody knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name
    state: HealthState
    expected_wait_ms: Ms | None = None


class Attempt(BaseModel):
    """A model that the context was sent to, what came of it, and in what time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name
    outcome: AttemptOutcome
    ms: Ms | None = None


class Route(BaseModel):
    """Why a context went where it went. `rule` is a rule's name, `preference`, `default`, or None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Name | None = None
    policy: Name | None = None
    reason: Sentence = ""
    features: Annotated[dict[str, Feature | None], Field(max_length=FEATURES_MAX)] = {}
    candidates: Annotated[tuple[Candidate, ...], Field(max_length=CANDIDATES_MAX)] = ()
    arm: Name | None = None
    propensity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    halt: Halt | None = None
    attempts: Annotated[tuple[Attempt, ...], Field(max_length=ATTEMPTS_MAX)] = ()

    def tried(self, attempt: Attempt) -> Route:
        """The same route with one attempt more; the oldest goes where there are too many."""
        return self.model_copy(update={"attempts": (*self.attempts, attempt)[-ATTEMPTS_MAX:]})


class Tag(Route):
    """The `route` header (`route/1`): the route so far, and the times that Kafka does not pass on.

    `chosen` is the model whose fallback chain counts, whichever model the context has been handed to since.
    """

    chosen: Name
    received_at: MomentText
    as_of: MomentText
    valid_until: MomentText
    routed_at: MomentText
    horizon_s: int

    @property
    def route(self) -> Route:
        """The route alone, as a decision carries it."""
        return Route.model_construct(**{name: getattr(self, name) for name in Route.model_fields})

    def with_route(self, route: Route) -> Tag:
        """The same tag about a route that has gone on."""
        return self.model_copy(update={name: getattr(route, name) for name in Route.model_fields})

    def to_bytes(self) -> bytes:
        """The header's value."""
        return _TAG.dump_json(self)

    @classmethod
    def from_bytes(cls, value: bytes) -> Tag:
        """The tag in a header's value; ValueError for anything else."""
        return _TAG.validate_json(value)


_TAG: Final = TypeAdapter(Tag)
