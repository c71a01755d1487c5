"""What this router says of the models: each change once, on `models.status`, through the lane of `contexts` partition 0.

The lane's fence keeps a router that was paused from writing over its successor. Whoever takes the lane over first reads what was
said, and says only what it sees otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from backbone import telemetry
from backbone.lane import Lane
from backbone.settings import Settings
from backbone.tail import Tail
from deciders.health import Change
from schemas import headers
from schemas.canonical import rfc3339
from schemas.record import Output, Record
from schemas.size import clip
from schemas.status import HealthState, ModelStatus
from schemas.topic import MODELS_STATUS

EVERY_S = 0.25  # at most four transactions a second
# A tail has within a poll (0.2 s) what is committed: after this the last word of whoever had the lane before is read.
LISTENS_S = 1.0
CHANGES_MAX = 1_000  # untold ones; more cannot come in the second before they are told
REASON_CHARACTERS_MAX = 280
EVENTS = {
    HealthState.HEALTHY: "model.healthy",
    HealthState.DEGRADED: "model.degraded",
    HealthState.OPEN: "model.opened",
    HealthState.PROBING: "model.probing",
    HealthState.DOWN: "model.down",
}


class Bulletin:
    """Keeps the newest change of each model, and tells the changes for as long as this router holds the lane."""

    def __init__(self, settings: Settings) -> None:
        self._said = Tail(settings, (MODELS_STATUS,), self._heard, from_start=True)
        self._topic: dict[str, tuple[HealthState, str | None]] = {}  # state and next probe, as they were said
        self._newest: dict[str, Change] = {}
        self._untold: deque[Change] = deque(maxlen=CHANGES_MAX)
        self._lane: Lane | None = None
        self._held_s: float | None = None  # since when the lane is ours; None once what was said before is compared
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what was said, and tell from now on. Raises Fatal where Kafka is away."""
        await self._said.start()
        self._task = asyncio.create_task(self._tell())

    async def stop(self) -> None:
        """Tell no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._said.stop()

    async def ended(self) -> None:
        """Returns, or raises why, once it tells or reads no more."""
        await asyncio.gather(self._said.ended(), *([self._task] if self._task else ()))

    def hold(self, lane: Lane) -> None:
        """The lane is ours."""
        self._lane, self._held_s = lane, time.monotonic()

    def let_go(self, lane: Lane) -> None:
        """The lane is lost or given back."""
        if lane is self._lane:
            self._lane = None

    def changed(self, change: Change) -> None:
        """A model does otherwise than before."""
        telemetry.MODEL_CHANGES.labels(change.model, change.state).inc()
        for state in HealthState:
            telemetry.MODEL_STATE.labels(change.model, state).set(state is change.state)
        self._newest[change.model] = change
        if self._lane is not None and self._held_s is None:
            self._untold.append(change)

    def _heard(self, record: Record) -> None:
        name = (record.key or b"").decode("utf-8", "replace")
        try:
            status = ModelStatus.model_validate_json(record.value)
            self._topic[name] = status.state, status.next_probe
        except ValueError:
            self._topic.pop(name, None)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            if self._lane is None:
                continue
            if self._held_s is not None:
                if time.monotonic() - self._held_s < LISTENS_S:
                    continue
                self._take_over()
            if self._untold:
                await self._write(self._lane, tuple(self._untold))

    def _take_over(self) -> None:
        self._held_s = None
        self._untold.clear()
        self._untold.extend(each for each in self._newest.values() if self._topic.get(each.model) != (each.state, _probe(each)))

    async def _write(self, lane: Lane, changes: tuple[Change, ...]) -> None:
        if not await lane.announce([_output(each) for each in changes]):
            return  # whether they were written shows when the lane is ours again
        for each in changes:
            self._untold.popleft()
            telemetry.event(EVENTS[each.state], model=each.model, next_probe=_probe(each) or "-", reason=repr(each.reason))


def _probe(change: Change) -> str | None:
    """When it is tried again."""
    return None if change.next_probe_ms is None else rfc3339(change.next_probe_ms)


def _output(change: Change) -> Output:
    status = ModelStatus(
        name=change.model,
        state=change.state,
        reason=clip(change.reason, REASON_CHARACTERS_MAX),
        since=rfc3339(change.since_ms),
        next_probe=_probe(change),
    )
    own = ((headers.CONTENT_TYPE, headers.JSON_CONTENT), (headers.SCHEMA, headers.MODEL_STATUS_SCHEMA))
    return Output(MODELS_STATUS, change.model.encode(), status.model_dump_json().encode(), own)
