"""Which lanes of which models this router takes over, and when it leaves them alone.

Only the router that has the lane of `contexts` partition 0 rescues, and only from models that are DOWN. The others' workers
live: they hold their lanes, and bring every question to an end themselves (`deciders/health.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from backbone import clients, telemetry
from backbone.cancellation import heed
from backbone.control import Control
from backbone.errors import Doubt, Fatal, Fenced, Transient
from backbone.lane import Lane, Place
from backbone.lane_state import SUSPECT_AFTER_CLAIMS
from backbone.settings import Settings
from backbone.takeover import FENCED_PAUSE_S, Backlog, backlog_of, taken_over
from backbone.topics import MODEL_PARTITIONS
from router.fleet import FleetView
from router.lane_rescue import LaneRescue
from schemas.status import HealthState
from schemas.topic import CONTEXTS, model_topic

LOOK_EVERY_S = 0.5  # how soon a model that is back has its lanes to itself, and how soon new backlog is seen
DOUBT_PAUSE_S = 2.0  # after any doubt but a fence: a broker that moves or starts is up again within seconds
# A lane whose owner refuses to start for want of an offset needs a person.
REFUSED_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Charge:
    """A lane, and the model that it waits for."""

    model: str
    place: Place


class Rescue:
    """One router's rescuing. Everything on it runs in the event loop of its router; `fail` ends the process."""

    def __init__(self, settings: Settings, fleet: FleetView, control: Control, fail: Callable[[BaseException], None]) -> None:
        self._settings, self._fleet, self._control, self._fail = settings, fleet, control, fail
        self._consumer = clients.reader(settings)  # it only looks, and has no partition
        self._first: Lane | None = None  # the lane whose holder rescues
        self._kept: dict[_Charge, asyncio.Task[None]] = {}
        self._not_before_s: dict[Place, float] = {}
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look after the models from now on. Raises Fatal where Kafka is away."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._consumer.start()
        except (clients.KafkaError, TimeoutError, OSError) as error:
            raise Fatal(f"broker at {self._settings.kafka_bootstrap}: {error!r}") from error
        self._watching = self._started(self._watch())

    async def stop(self) -> None:
        """Let go of every lane."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._let_go(tuple(self._kept))
        await clients.stop(self._consumer)

    def claimed(self, lane: Lane) -> None:
        """A lane is ours; with the first one of `contexts` comes the right to rescue."""
        if lane.place.topic == CONTEXTS and lane.place.partition == 0:
            self._first = lane

    def dropped(self, lane: Lane) -> None:
        """A lane is lost or given back."""
        if lane is self._first:
            self._first = None

    # -- which lanes --------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            heed()
            wanted = set(self._charges())
            await self._let_go([each for each in self._kept if each not in wanted])
            for charge in wanted - self._kept.keys():
                self._kept[charge] = self._started(self._keep(charge))
            await asyncio.sleep(LOOK_EVERY_S)

    def _charges(self) -> list[_Charge]:
        if self._first is None:
            return []
        fleet = self._fleet.now()
        down = [name for name in fleet.running if fleet.of(name).state is HealthState.DOWN]
        return [_Charge(each, Place(f"worker.{each}", model_topic(each), p)) for each in down for p in range(MODEL_PARTITIONS)]

    async def _let_go(self, charges: Collection[_Charge]) -> None:
        tasks = [self._kept.pop(each) for each in charges]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=4 * clients.STOP_S_MAX)

    # -- one lane -----------------------------------------------------------------------------------------------------

    async def _keep(self, charge: _Charge) -> None:
        """Take the lane over whenever something waits there, for as long as the model is down and rescuing is ours."""
        while True:
            heed()
            await asyncio.sleep(max(0.0, self._not_before_s.get(charge.place, 0.0) - time.monotonic()))
            try:
                backlog = await backlog_of(self._consumer, charge.place)
                if _waits(backlog) and await self._is_confirmed():
                    await self._take_over(charge, backlog)
                else:
                    await asyncio.sleep(LOOK_EVERY_S)
            except (Doubt, Transient, Fatal) as error:
                self._leave_alone(charge.place, error)

    async def _is_confirmed(self) -> bool:
        """Whether rescuing is still ours, by a commit under the first lane's fence: a router that slept has yet to learn it."""
        if self._first is None:
            return False
        try:
            async with asyncio.timeout(self._settings.commit_doubt_s):
                return await self._first.announce(())
        except TimeoutError:
            return False

    async def _take_over(self, charge: _Charge, backlog: Backlog | None) -> None:
        async with taken_over(self._settings, charge.place) as (lane, mark):
            if mark.claims >= SUSPECT_AFTER_CLAIMS:
                return  # its own worker asks these records one by one
            waiting = "unknown" if backlog is None else backlog.offsets
            telemetry.event("lane.rescue", topic=charge.place.topic, partition=charge.place.partition, waiting=waiting)
            await LaneRescue(lane, charge.model, self._fleet.now, self._control.policy, self._fleet.sent).run()

    def _leave_alone(self, place: Place, error: Exception) -> None:
        """Note until when the lane is left alone, also if it is let go and wanted again meanwhile."""
        pause_s = FENCED_PAUSE_S if isinstance(error, Fenced) else REFUSED_PAUSE_S if isinstance(error, Fatal) else DOUBT_PAUSE_S
        self._not_before_s[place] = time.monotonic() + pause_s
        telemetry.LANES_LOST.labels(type(error).__name__).inc()
        telemetry.event("lane.left_alone", lane=place, pause_s=f"{pause_s:g}", error=error)

    def _started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)


def _waits(backlog: Backlog | None) -> bool:
    """Whether a lane is to be taken over: something waits, or nobody can know; but not what killed its owners."""
    return backlog is None or (backlog.offsets > 0 and backlog.claims < SUSPECT_AFTER_CLAIMS)
