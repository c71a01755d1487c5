"""What the lanes of one reader ask of a router: to know the names before them, and to judge (backbone/reader.py: Work)."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backbone import telemetry
from backbone.history import read_back
from backbone.lane import Lane, Place, now_ms
from backbone.progress import Mark
from backbone.settings import Settings
from backbone.stops import reach
from deciders.dedupe import Dedupe
from deciders.judge import World, judge, remember
from router.fleet import FleetView
from router.misplaced import Misplaced
from router.rescue import Rescue
from schemas.dead_letter import dead_letter_output
from schemas.record import Record
from schemas.refusal import Reason
from schemas.result import Result

SLICE_S = 0.005  # how long judging may keep the event loop, and with it the heartbeat, from its turn
# Of replayed records: few, since what writes them keeps the event loop from live ones, too.
REPLAY_BATCH = 20

# A rebuild reads at most 16 windows of offsets (320,000): a bot that sends one id for ever must not keep a router from starting.
REBUILD_DOUBLINGS_MAX = 4

WorldNow = Callable[[], World]


class Intake(ABC):
    """One reader's records. Each partition has its names: what came before in it, and is not decided again."""

    def __init__(self, settings: Settings, world: WorldNow) -> None:
        self._settings, self._world = settings, world
        self._dedupe: dict[int, Dedupe] = {}
        self._misplaced = Misplaced()

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        """Know the names of what lies before this lane: from memory, and for the rest from the log."""
        partition = lane.place.partition
        dedupe = self._dedupe.setdefault(partition, self._new_dedupe())
        dedupe.forget_from(mark.offset)
        if mark.offset - dedupe.covered <= self._settings.dedupe_window:
            await self._read_back(lane.place, dedupe, dedupe.covered, mark.offset)
        else:
            self._dedupe[partition] = await self._rebuilt(lane.place, mark.offset)

    def _new_dedupe(self) -> Dedupe:
        return Dedupe(self._settings.dedupe_window + self._settings.lane_records_max)

    async def _rebuilt(self, place: Place, end: int) -> Dedupe:
        """The newest names below `end`. Offsets are no records (markers, repeats): a stretch that holds too few is doubled."""
        window = self._settings.dedupe_window
        for doubling in range(REBUILD_DOUBLINGS_MAX + 1):
            dedupe, first = self._new_dedupe(), max(0, end - (window << doubling))
            await self._read_back(place, dedupe, first, end)
            if dedupe.known >= window or first == 0:
                break
        return dedupe

    async def _read_back(self, place: Place, dedupe: Dedupe, first: int, end: int) -> None:
        if first < end:
            async for records in read_back(self._settings, place.topic, place.partition, first, end):
                for record in records:
                    self._remember(record, dedupe)
        dedupe.covered = max(dedupe.covered, end)

    def _remember(self, record: Record, dedupe: Dedupe) -> None:
        try:
            remember(record, dedupe)
        except Exception as error:  # given up once, as `undecidable`: it must not end every router that starts after
            telemetry.event("dedupe.passed_over", src=record.source, error=repr(error))

    @abstractmethod
    async def room(self) -> int:
        """A batch at a time."""

    @abstractmethod
    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Judge each, without keeping others from their turn."""

    def _judge(self, lane: Lane, record: Record, world: World) -> Result:
        self._misplaced.look(record)
        result = judge(record, self._dedupe[lane.place.partition], world, now_ms())
        reach("decide.after_answer")
        lane.finish(result)
        return result

    def give_up(self, record: Record) -> Result:
        """The outcome of a record that ended its routers again and again."""
        detail = "every process that read this record died before it was routed"
        return Result(record, (dead_letter_output(record, record.source, Reason.UNDECIDABLE, detail),))

    def pending(self, lane: Lane) -> bool:
        """Nothing is: judging does not wait."""
        return False

    @abstractmethod
    def dropped(self, lane: Lane) -> None:
        """Nothing is under way that had to be stopped."""


class LiveIntake(Intake):
    """Live contexts. Only whoever has their lanes may say how models do, and rescue."""

    def __init__(self, settings: Settings, world: WorldNow, fleet: FleetView, rescue: Rescue) -> None:
        super().__init__(settings, world)
        self._fleet, self._rescue = fleet, rescue
        self._judging = 0
        self.quiet = asyncio.Event()  # set while none is being judged
        self.quiet.set()

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        """Beside the names, its right to speak of the models."""
        await super().claimed(lane, mark)
        self._fleet.claimed(lane)
        self._rescue.claimed(lane)

    def dropped(self, lane: Lane) -> None:
        """That right is lost with it."""
        self._rescue.dropped(lane)
        self._fleet.dropped(lane)

    async def room(self) -> int:
        """A batch at a time."""
        return self._settings.router_batch

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Judge each, in slices that let the heartbeat through."""
        world, slice_ends_s = self._world(), time.monotonic() + SLICE_S
        with self._at_work():
            for record in records:
                self._fleet.sent(self._judge(lane, record, world))
                if time.monotonic() > slice_ends_s:
                    await asyncio.sleep(0)
                    slice_ends_s = time.monotonic() + SLICE_S

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self._judging += 1
        self.quiet.clear()
        try:
            yield
        finally:
            self._judging -= 1
            if not self._judging:
                self.quiet.set()


class ReplayIntake(Intake):
    """Replayed contexts, each judged while no live one is. No router's view of the fleet counts them."""

    def __init__(self, settings: Settings, world: WorldNow, quiet: asyncio.Event) -> None:
        super().__init__(settings, world)
        self._quiet = quiet

    async def room(self) -> int:
        """A small batch at a time."""
        return REPLAY_BATCH

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Judge each in a turn of its own."""
        world = self._world()
        for record in records:
            await self._quiet.wait()
            self._judge(lane, record, world)
            await asyncio.sleep(0)

    def dropped(self, lane: Lane) -> None:
        """It had no right but to write."""
