"""The trail of a choice: `route` in a decision, and the tag a context carries to a model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from schemas.canonical import parse_rfc3339, rfc3339
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


def _clipped_sentence(value: object) -> object:
    return clip(value, RATIONALE_CHARACTERS_MAX) if isinstance(value, str) else value


Name = Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)]
Sentence = Annotated[str, BeforeValidator(_clipped_sentence), Field(max_length=RATIONALE_CHARACTERS_MAX)]
Ms = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MomentText = Annotated[str, Field(max_length=40)]


class Candidate(BaseModel):
    """A model that was possible; `expected_wait_ms` is None where nobody knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)

    model: Name
    state: HealthState
    expected_wait_ms: Ms | None = None


class Attempt(BaseModel):
    """A model that the context was sent to, what came of it, and in what time."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)

    model: Name
    outcome: AttemptOutcome
    ms: Ms | None = None


class Route(BaseModel):
    """Why a context went where it went. `rule` is a rule's name, `preference`, `default`, or None."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)

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


class TagMessage(Route):
    """The tag as it is written (`route/1`): the fields of the route, and beside them the tag's own."""

    chosen: Name
    received_at: MomentText
    as_of: MomentText
    valid_until: MomentText
    routed_at: MomentText
    horizon_s: int


@dataclass(frozen=True, slots=True)
class Tag:
    """The `route` header: the route so far, and the times that Kafka does not pass on, here in epoch ms.

    `chosen` is the model whose fallback chain counts, whichever model the context has been handed to since.
    """

    route: Route
    chosen: str
    received_at_ms: int
    as_of_ms: int
    valid_until_ms: int
    routed_at_ms: int
    horizon_s: int

    def with_route(self, route: Route) -> Tag:
        """The same tag about a route that has gone on."""
        return replace(self, route=route)

    def to_bytes(self) -> bytes:
        """The header's value: the route's JSON with the tag's own fields added, so that the route is written once."""
        own = (
            f',"chosen":{json.dumps(self.chosen)},"received_at":"{rfc3339(self.received_at_ms)}"'
            f',"as_of":"{rfc3339(self.as_of_ms)}","valid_until":"{rfc3339(self.valid_until_ms)}"'
            f',"routed_at":"{rfc3339(self.routed_at_ms)}","horizon_s":{self.horizon_s}}}'
        )
        return _ROUTE.dump_json(self.route)[:-1] + own.encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> Tag:
        """The tag in a header's value; ValueError for anything else."""
        read = _TAG.validate_json(value)
        return cls(
            route=Route(**{name: getattr(read, name) for name in Route.model_fields}),
            chosen=read.chosen,
            received_at_ms=parse_rfc3339(read.received_at),
            as_of_ms=parse_rfc3339(read.as_of),
            valid_until_ms=parse_rfc3339(read.valid_until),
            routed_at_ms=parse_rfc3339(read.routed_at),
            horizon_s=read.horizon_s,
        )


_ROUTE: Final = TypeAdapter(Route)
_TAG: Final = TypeAdapter(TagMessage)
