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


class WorkerState(StrEnum):
    """What a worker does: its engine comes up, it takes its lanes, it answers, or it finishes what it holds."""

    LOADING = "loading"
    JOINING = "joining"
    READY = "ready"
    LEAVING = "leaving"


class Heartbeat(BaseModel):
    """What a worker says of itself, kept with an expiry: no heartbeat, no worker.

    `queue` waits for `in_flight`, which the engine has; it computes `concurrency` of them at once. `service_ms` is the
    median time that one answer takes there, None where there was none yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: str = Field(max_length=128)
    model: str = Field(max_length=64)
    version: str = Field(default="", max_length=64)
    state: WorkerState
    at_ms: int
    started_at_ms: int
    concurrency: int = Field(default=1, ge=1)
    queue: int = Field(default=0, ge=0)
    in_flight: int = Field(default=0, ge=0)
    answered: int = Field(default=0, ge=0)
    service_ms: float | None = Field(default=None, ge=0)
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self.state is WorkerState.READY


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
