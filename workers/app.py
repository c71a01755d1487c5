"""A worker: reads one model's topic in lanes, keeps its engine busy, and writes decisions as they are ready."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from prometheus_client import REGISTRY

from backbone import topics
from backbone.control import Control
from backbone.errors import Fatal
from backbone.heartbeat import Heartbeats, own_version
from backbone.lane import Lane, now_ms
from backbone.progress import Mark
from backbone.reader import Reader
from backbone.settings import Settings
from deciders.fleet import Fleet
from schemas.record import Record
from schemas.result import Result
from schemas.status import Heartbeat, WorkerState
from schemas.topic import model_topic
from workers.admission import Admission
from workers.ask import Asker, undecidable
from workers.catalogue import CatalogueError, Served
from workers.engine import Engine, EngineDied
from workers.engine_metrics import EngineMetrics
from workers.tending import tend

REMEMBERED = 512  # answers whose durations make the percentiles of a heartbeat


class Worker:
    """One process of the group `worker.<model>`, around one engine."""

    def __init__(self, settings: Settings, served: Served, engine: Engine) -> None:
        self._settings, self._engine, self._model = settings, engine, served.entry.name
        self._control = Control(settings, self._fail)
        self._heartbeats = Heartbeats(settings)
        self._admission = Admission(engine.concurrency, engine.vitals)
        self._asker = Asker(settings, served, engine, self._control, self._admission, Fleet(settings.models))
        self._reader = Reader(settings, f"worker.{self._model}", model_topic(self._model), self)
        self.failed = self._reader.failed
        self._under_way: dict[Lane, set[asyncio.Task[None]]] = {}
        self._took_ms: deque[float] = deque(maxlen=REMEMBERED)
        self._beating: asyncio.Task[None] | None = None
        self._tending: asyncio.Task[None] | None = None
        self._metrics = EngineMetrics(self._model, engine.vitals)
        self._started_ms, self._answered = now_ms(), 0
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

    async def stop(self) -> None:
        """Finish what is asked, within `drain_s`, leave the group so that others have the partitions at once, end."""
        self._state = WorkerState.LEAVING
        await self._reader.stop(leave=True)
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
        self._reader.fail(error)

    def _untended(self, tending: asyncio.Task[None]) -> None:
        if not tending.cancelled() and (error := tending.exception()) is not None:
            self._fail(error)

    # -- what its lanes ask of it (backbone/reader.py: Work) -----------------------------------------------------------

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        """Nothing has to be known of what lies before."""
        self._under_way[lane] = set()

    async def room(self) -> int:
        """What the engine has room for."""
        return await self._admission.room()

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Ask each, all at once; the engine batches them."""
        for record in records:
            task = asyncio.create_task(self._decide(lane, record))
            self._under_way[lane].add(task)
            task.add_done_callback(lambda done: self._done(lane, done))
            await asyncio.sleep(0)  # one question's rendering a turn of the loop: heartbeat and `control` get theirs

    async def _decide(self, lane: Lane, record: Record) -> None:
        began_s = time.monotonic()
        result = await self._asker.decide(record)
        self._took_ms.append((time.monotonic() - began_s) * 1000)
        self._answered += 1
        lane.finish(result)

    def _done(self, lane: Lane, task: asyncio.Task[None]) -> None:
        self._under_way.get(lane, set()).discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._reader.fail(Fatal(f"model {self._model}: {error}") if isinstance(error, EngineDied) else error)

    def give_up(self, record: Record) -> Result:
        """The outcome of a record that ended its workers again and again."""
        return undecidable(record, f"every process that asked {self._model} about this record died before it was decided")

    def pending(self, lane: Lane) -> bool:
        """Whether its engine still works for this lane."""
        return bool(self._under_way.get(lane))

    def dropped(self, lane: Lane) -> None:
        """Take back what is asked for this lane: its answers could not be written any more."""
        for task in self._under_way.pop(lane, set()):
            task.cancel()

    @property
    def _process(self) -> str:
        return f"worker-{self._model}-{self._settings.ordinal}"

    def _heartbeat(self) -> Heartbeat:
        took = sorted(self._took_ms)
        joined = self._state is WorkerState.JOINING and self._reader.ready
        return Heartbeat(
            process=self._process,
            model=self._model,
            version=own_version(),
            state=WorkerState.READY if joined else self._state,
            at_ms=now_ms(),
            started_at_ms=self._started_ms,
            concurrency=self._engine.concurrency,
            queue=max(0, sum(map(len, self._under_way.values())) - self._admission.in_flight),
            in_flight=self._admission.in_flight,
            answered=self._answered,
            service_ms=self._asker.service.median_ms(),
            p50_ms=_percentile(took, 0.5),
            p99_ms=_percentile(took, 0.99),
        )


def _percentile(rising: Sequence[float], share: float) -> float | None:
    return rising[int(len(rising) * share)] if rising else None
