"""How every model is doing, as one may ask over HTTP: the router's word, from `models.status`; the workers' figures; its share.

Only where no router has said anything yet do heartbeats speak for a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.outcome import Answered, Outcome
from schemas.canonical import rfc3339
from schemas.record import Record
from schemas.status import HealthState, Heartbeat, ModelStatus

ASKED = frozenset((HealthState.HEALTHY, HealthState.DEGRADED, HealthState.PROBING))


class Models:
    """What is known of the models. `running` are asked by the rules; the catalogue may hold more."""

    def __init__(self, catalogue: Sequence[str], running: Sequence[str]) -> None:
        self.catalogue, self._running = tuple(catalogue), tuple(running)
        self._told: dict[str, ModelStatus] = {}
        self._answers: Counter[str] = Counter()

    def told(self, record: Record) -> None:
        """Take in a record of `models.status`; one of another form is none."""
        name = (record.key or b"").decode("utf-8", "replace")
        try:
            self._told[name] = ModelStatus.model_validate_json(record.value)
        except ValueError:
            self._told.pop(name, None)

    def decided(self, outcome: Outcome) -> None:
        """Count a decision for the model that answered it."""
        if isinstance(outcome, Answered) and outcome.model:
            self._answers[outcome.model] += 1

    def status(self, beats: Mapping[str, Heartbeat] | None) -> list[ModelStatus]:
        """Every model of the catalogue. `beats` None: nobody knows of heartbeats, so a worker may well be there."""
        return [self._status(name, beats) for name in self.catalogue]

    def _status(self, name: str, beats: Mapping[str, Heartbeat] | None) -> ModelStatus:
        own = [beat for beat in (beats or {}).values() if beat.model == name]
        told = self._told.get(name) if name in self._running else None
        status = told if told is not None else self._by_heartbeats(name, own, beats is None)
        total = sum(self._answers.values())
        figures = {} if not own else _figures(own)
        return status.model_copy(update=figures | {"share": round(self._answers[name] / total, 4) if total else None})

    def _by_heartbeats(self, name: str, own: Sequence[Heartbeat], redis_is_away: bool) -> ModelStatus:
        if name not in self._running:
            return ModelStatus(name=name, state=HealthState.DOWN, reason="is not among the models that run")
        if redis_is_away:
            return ModelStatus(name=name, state=HealthState.DEGRADED, reason="heartbeats cannot be read: Redis is away")
        if not own:
            return ModelStatus(name=name, state=HealthState.DOWN, reason="no worker's heartbeat within 5 s")
        since = rfc3339(min(beat.started_at_ms for beat in own))
        if not any(beat.ready for beat in own):
            return ModelStatus(name=name, state=HealthState.DOWN, reason="its worker is not ready yet", since=since)
        return ModelStatus(name=name, state=HealthState.HEALTHY, since=since)


def _figures(beats: Sequence[Heartbeat]) -> dict[str, float | int | None]:
    """The workers' own figures taken together: sums, and of latencies the worst."""
    return {
        "queue": sum(beat.queue for beat in beats),
        "in_flight": sum(beat.in_flight for beat in beats),
        "p50_ms": max((beat.p50_ms for beat in beats if beat.p50_ms is not None), default=None),
        "p99_ms": max((beat.p99_ms for beat in beats if beat.p99_ms is not None), default=None),
    }
