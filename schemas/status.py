"""How a model is doing, as the fleet, `models.status` and `GET /status` say it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class HealthState(StrEnum):
    """HEALTHY and DEGRADED are asked; OPEN is not until its probe; PROBING is asked a little; DOWN has no worker."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    OPEN = "OPEN"
    PROBING = "PROBING"
    DOWN = "DOWN"


class Heartbeat(BaseModel):
    """What a worker says of itself, kept with an expiry: no heartbeat, no worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: str = Field(max_length=128)
    model: str = Field(max_length=64)
    at_ms: int
    started_at_ms: int
    ready: bool
    queue: int = Field(default=0, ge=0)
    in_flight: int = Field(default=0, ge=0)
    answered: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    p50_ms: float | None = None
    p99_ms: float | None = None


class ModelStatus(BaseModel):
    """One model in `status --json`, and the value of `models.status` (`model-status/1`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=64)
    state: HealthState
    reason: str = Field(default="", max_length=280)
    since: str | None = None
    next_probe: str | None = None
    queue: int | None = None
    in_flight: int | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    share: float | None = None
