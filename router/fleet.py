"""The router's own view of the models: reads heartbeats, decisions and what Kafka shows, and keeps each model's standing true.

What follows from it is decided in `deciders/health.py`. Redis may be away or wiped: then Kafka alone is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backbone import telemetry
from backbone.errors import Fatal, Transient
from backbone.heartbeat import LOOK_EVERY_S, Heartbeats
from backbone.lag import Lag, LagReader
from backbone.lane import Lane, now_ms
from backbone.settings import Settings
from backbone.tail import Tail
from backbone.topics import plan
from deciders.endings import endings_of
from deciders.fleet import Fleet, Standing
from deciders.health import Health, Look
from deciders.patience import Patience
from router.bulletin import Bulletin
from router.waiting import Waiting
from schemas.headers import SRC, header_text
from schemas.record import Record
from schemas.result import Result
from schemas.status import Heartbeat, WorkerState
from schemas.topic import CONTEXTS, DECISIONS, model_topic

KAFKA_EVERY_S = 3.0  # a look asks some 40 things of the broker
ABSENCE = {
    WorkerState.LOADING: "its worker is still loading",
    WorkerState.JOINING: "its worker has not taken its lanes yet",
    WorkerState.LEAVING: "its worker is leaving",
    WorkerState.READY: "no worker's new heartbeat",
}


class FleetView:
    """One router's view. Everything on it runs in the event loop of its router; `fail` ends the process."""

    def __init__(self, settings: Settings, fail: Callable[[BaseException], None]) -> None:
        self._running, self._fail = settings.models, fail
        self._health: dict[str, Health] = {}
        self._patience = Patience.of(settings.session_timeout_s, settings.hung_s)
        self._waiting = {name: Waiting() for name in settings.models}
        self._standings = {name: Standing() for name in settings.models}
        self._by_topic = {model_topic(name): name for name in settings.models}
        self._beaten: dict[str, int] = {}  # when each process's newest heartbeat was written, by its own clock
        self._heartbeats = Heartbeats(settings)
        self._decisions = Tail(settings, (DECISIONS,), self._decided)
        self._lags = LagReader(settings, [each for each in plan(settings.models) if each.name in self._by_topic])
        self._bulletin = Bulletin(settings)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Look once at the heartbeats, then again and again at everything. Raises Fatal where Kafka is away."""
        self._health = {name: Health(name, now_ms(), self._patience) for name in self._running}
        await self._decisions.start()
        await self._bulletin.start()
        try:
            await self._lags.start()
        except Transient as error:
            raise Fatal(str(error)) from error
        await self._read_heartbeats()
        loops = (self._follow_heartbeats(), self._follow_kafka(), self._decisions.ended(), self._bulletin.ended())
        for loop in loops:
            task = asyncio.create_task(loop)
            task.add_done_callback(self._ended)
            self._tasks.add(task)

    async def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bulletin.stop()
        await self._decisions.stop()
        await self._lags.stop()
        await self._heartbeats.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    # -- for its router -----------------------------------------------------------------------------------------------

    def now(self) -> Fleet:
        """The fleet for choices at this moment; what is sent meanwhile shows in it."""
        return Fleet(self._running, self._standings, now_ms())

    def sent(self, result: Result) -> None:
        """Count a question that goes to a model, if this result is one."""
        output = result.outputs[0]
        model = self._by_topic.get(output.topic)
        if model is None:
            return
        waiting, standing = self._waiting[model], self._standings[model]
        waiting.sent()
        standing.waiting = waiting.questions
        if standing.probes_left:
            self._health[model].sent(header_text(output.headers, SRC) or "", now_ms())
            self._show(model)

    def claimed(self, lane: Lane) -> None:
        """A lane is ours; with the first one of `contexts` comes the right to say how models do."""
        if lane.place.topic == CONTEXTS and lane.place.partition == 0:
            self._bulletin.hold(lane)

    def dropped(self, lane: Lane) -> None:
        """A lane is lost or given back."""
        self._bulletin.let_go(lane)

    # -- what it sees -------------------------------------------------------------------------------------------------

    async def _follow_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._read_heartbeats()

    async def _read_heartbeats(self) -> None:
        beats = await self._heartbeats.read()
        for name in self._running:
            if beats is None:
                self._waiting[name].unheard()
                self._health[name].no_beats(now_ms())
            else:
                self._take_beats(name, [beat for beat in beats.values() if beat.model == name])
            self._show(name)
        self._beaten = self._beaten if beats is None else {each.process: each.at_ms for each in beats.values()}

    def _take_beats(self, name: str, beats: list[Heartbeat]) -> None:
        """By the change of what a process says, not by its clock: that may be another machine's."""
        new = [beat for beat in beats if beat.at_ms != self._beaten.get(beat.process)]
        ready = [beat for beat in beats if beat.ready]
        if any(beat.ready for beat in new):
            self._waiting[name].beats(ready, now_ms())
        elif not ready:
            self._waiting[name].unheard()
        absence = ABSENCE[beats[0].state] if beats else "no worker's heartbeat"
        self._health[name].beats(any(beat.ready for beat in new), absence, self._waiting[name].service_ms, now_ms())

    async def _follow_kafka(self) -> None:
        unread = False
        while True:
            try:
                self._look(await self._lags.look(now_ms()))
                unread = False
            except Transient as error:  # what Kafka does not show now says nothing of any model
                if not unread:
                    telemetry.event("fleet.kafka_unread", error=error)
                unread = True
            await asyncio.sleep(KAFKA_EVERY_S)

    def _look(self, lags: list[Lag]) -> None:
        for lag in lags:
            name = self._by_topic[lag.name]
            open_offsets = 0 if lag.oldest_s is None else lag.open_offsets  # else there are only markers
            self._waiting[name].looked(open_offsets)
            oldest_ms = None if lag.oldest_s is None else lag.oldest_s * 1000
            self._health[name].look(Look(lag.members, open_offsets, oldest_ms), now_ms())
            self._show(name)

    def _decided(self, record: Record) -> None:
        try:
            endings = endings_of(record.value)
        except ValueError as error:
            telemetry.event("decision.unreadable", at=record.source, error=error)
            return
        for ending in endings:
            if ending.model in self._health:
                self._waiting[ending.model].ended(now_ms())
                self._health[ending.model].ended(ending, now_ms())
                self._show(ending.model)
        self._take_back_probes(record)

    def _take_back_probes(self, record: Record) -> None:
        tried = [health for health in self._health.values() if health.probes.out]
        if tried and (src := header_text(record.headers, SRC)) is not None:
            for health in tried:
                health.back(src)
                self._show(health.model)

    def _show(self, name: str) -> None:
        health, waiting, standing = self._health[name], self._waiting[name], self._standings[name]
        standing.state, standing.reason, standing.probes_left = health.state, health.reason, health.probes_left
        standing.waiting, standing.concurrency = waiting.questions, waiting.concurrency
        standing.service_ms = waiting.service_ms_at(now_ms())
        for change in health.changes:
            self._bulletin.changed(change)
        health.changes.clear()
