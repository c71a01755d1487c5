"""The models as a choice sees them: which run, how each is doing, and how long a question would wait there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.status import HealthState

ASKED_FREELY: Final = (HealthState.HEALTHY, HealthState.DEGRADED)


@dataclass(slots=True)
class Standing:
    """How one model stands now. The router keeps it true, a choice only reads it.

    `waiting` is what it has not answered yet: its queue and what is in flight, and what was sent to it since that was counted.
    It computes `concurrency` questions at once, each in `service_ms`; None where nobody knows.
    """

    state: HealthState = HealthState.HEALTHY
    reason: str = ""
    probes_left: int = 0
    waiting: int = 0
    concurrency: int = 1
    service_ms: float | None = None

    @property
    def can_be_asked(self) -> bool:
        """Whether one question more may go to it."""
        state = self.state
        if state in ASKED_FREELY:
            return True
        return state is HealthState.PROBING and self.probes_left > 0

    @property
    def wait_ms(self) -> float | None:
        """How long a question would wait before it is computed; None where nobody knows."""
        return None if self.service_ms is None else self.waiting / self.concurrency * self.service_ms

    @property
    def out(self) -> str:
        """How it is kept from being asked, for people."""
        if self.state is HealthState.PROBING:
            return "is PROBING, and its probes are out"
        return f"is {self.state} ({self.reason})" if self.reason else f"is {self.state}"


_UNHEARD: Final = Standing()
_ABSENT: Final = Standing(HealthState.DOWN)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The models that run, and how each stands where that is known; `now_ms` is the time of the choice, for deadlines."""

    running: tuple[str, ...]
    standings: Mapping[str, Standing] = field(default_factory=dict)
    now_ms: int | None = None

    def of(self, model: str) -> Standing:
        """How this model stands: DOWN where it does not run, HEALTHY where nothing else was heard."""
        return self.standings.get(model, _UNHEARD) if model in self.running else _ABSENT
