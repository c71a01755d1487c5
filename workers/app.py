"""A worker: reads one model's topics in lanes, keeps its engine busy, and writes decisions as they are ready."""

from __future__ import annotations

import asyncio

from prometheus_client import REGISTRY

from backbone import topics
from backbone.control import Control
from backbone.errors import Fatal
from backbone.heartbeat import Heartbeats, own_version
from backbone.lane import now_ms
from backbone.reader import Reader
from backbone.second_reader import SecondReader
from backbone.settings import Settings
from deciders.fleet import Fleet
from schemas.status import Heartbeat, WorkerState
from schemas.topic import Side
from workers.admission import Admission
from workers.ask import Asker
from workers.catalogue import CatalogueError, Served
from workers.engine import LIVE, REPLAY, Engine, EngineDied
from workers.engine_metrics import EngineMetrics
from workers.intake import Intake
from workers.tending import tend


class Worker:
    """One process of the groups `worker.<model>` and `replay.worker.<model>`, around one engine."""

    def __init__(self, settings: Settings, served: Served, engine: Engine) -> None:
        self._settings, self._engine, self._model = settings, engine, served.entry.name
        self._control = Control(settings, self._fail)
        self._heartbeats = Heartbeats(settings)
        self._admission = Admission(engine.concurrency, engine.vitals)
        self._asker = Asker(settings, served, engine, self._control, self._admission, Fleet(settings.models))
        self._live = Intake(self._asker, LIVE, self._fail)
        self._reader = Reader(settings, Side.LIVE.worker_group(self._model), Side.LIVE.waiting(self._model), self._live)
        self.failed = self._reader.failed
        group, topic = Side.REPLAYS.worker_group(self._model), Side.REPLAYS.waiting(self._model)
        replayed = Intake(self._asker, REPLAY, self._replay_failed)
        self._replays = SecondReader(settings, group, topic, replayed, self._reader, leave=True)
        self._beating: asyncio.Task[None] | None = None
        self._tending: asyncio.Task[None] | None = None
        self._metrics = EngineMetrics(self._model, engine.vitals)
        self._started_ms = now_ms()
        self._state = WorkerState.LOADING

    @property
    def ready(self) -> bool:
        """Whether its engine is up, every partition assigned to it is being read, and routers can know that."""
        return self._reader.ready and self._heartbeats.seen_ready

    async def start(self) -> None:
        """Bring the engine up, read `control`, then join the group: nobody waits for an engine that is still loading."""
        await topics.check(self._settings, self._settings.catalogue_names)
        self._beating = asyncio.create_task(self._heartbeats.beat(self._heartbeat))
        try:
            await self._engine.start()
        except (CatalogueError, EngineDied) as error:
            raise Fatal(f"model {self._model}: {error}") from error
        self._tending = asyncio.create_task(tend(self._engine, self._admission, self._settings.hung_s, self._model))
        self._tending.add_done_callback(self._untended)
        REGISTRY.register(self._metrics)
        self._state = WorkerState.JOINING
        await self._control.start()
        await self._reader.start()
        if self._settings.replays:
            self._replays.start()

    async def stop(self) -> None:
        """Finish what is asked, within `drain_s`, leave the group so that others have the partitions at once, end."""
        self._state = WorkerState.LEAVING
        await asyncio.gather(self._reader.stop(leave=True), self._replays.stop())
        await self._control.stop()
        if self._beating is not None:
            self._beating.cancel()
            await self._heartbeats.end(self._process)
        await self._heartbeats.close()
        if self._tending is not None:
            self._tending.cancel()
            REGISTRY.unregister(self._metrics)
        await self._engine.stop()

    def _fail(self, error: BaseException) -> None:
        self._reader.fail(Fatal(f"model {self._model}: {error}") if isinstance(error, EngineDied) else error)

    def _replay_failed(self, error: BaseException) -> None:
        """Live questions go on, unless it is their engine that died."""
        if isinstance(error, EngineDied):
            self._fail(error)
        else:
            self._replays.fail(error)

    def _untended(self, tending: asyncio.Task[None]) -> None:
        if not tending.cancelled() and (error := tending.exception()) is not None:
            self._fail(error)

    @property
    def _process(self) -> str:
        return f"worker-{self._model}-{self._settings.ordinal}"

    def _heartbeat(self) -> Heartbeat:
        """Of live questions alone: what is replayed keeps none of them waiting."""
        p50_ms, p99_ms = self._live.took_ms(0.5, 0.99)
        joined = self._state is WorkerState.JOINING and self._reader.ready
        return Heartbeat(
            process=self._process,
            model=self._model,
            version=own_version(),
            state=WorkerState.READY if joined else self._state,
            at_ms=now_ms(),
            started_at_ms=self._started_ms,
            concurrency=self._engine.concurrency,
            queue=max(0, self._live.questions - self._admission.live),
            in_flight=self._admission.live,
            answered=self._live.answered,
            service_ms=self._asker.service.median_ms(),
            p50_ms=p50_ms,
            p99_ms=p99_ms,
        )
