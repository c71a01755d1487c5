"""The router: reads `contexts` in lanes, judges each record, and writes its next hop or its outcome."""

from __future__ import annotations

import asyncio
import time

from backbone import telemetry, topics
from backbone.control import Control
from backbone.errors import Fatal
from backbone.history import read_back
from backbone.lane import Lane, Place, now_ms
from backbone.progress import Mark
from backbone.reader import Reader
from backbone.settings import Settings
from backbone.stops import reach
from deciders.dedupe import Dedupe
from deciders.judge import World, judge, remember
from router.choice import load_choice
from router.fleet import FleetView
from router.misplaced import Misplaced
from router.rescue import Rescue
from schemas.dead_letter import dead_letter_output
from schemas.halt import TRADING_DISABLED, Halt
from schemas.question import Question
from schemas.record import Record
from schemas.refusal import Reason
from schemas.result import Result
from schemas.topic import CONTEXTS

SLICE_S = 0.005  # how long judging may keep the event loop, and with it the heartbeat, from its turn

# A rebuild reads at most 16 windows of offsets (320,000): a bot that sends one id for ever must not keep a router from starting.
REBUILD_DOUBLINGS_MAX = 4


class Router:
    """One process of the group `router`."""

    def __init__(self, settings: Settings, catalogue: tuple[str, ...]) -> None:
        self._settings, self._catalogue = settings, catalogue
        self._control = Control(settings, self._fail)
        self._choose = load_choice(settings.router, catalogue)
        self._fleet = FleetView(settings, self._fail)
        self._rescue = Rescue(settings, self._fleet, self._control, self._fail)
        self._dedupe: dict[int, Dedupe] = {}
        self._misplaced = Misplaced()
        self._reader = Reader(settings, "router", CONTEXTS, self)
        self.failed = self._reader.failed

    @property
    def ready(self) -> bool:
        """Whether every partition assigned to it is being read."""
        return self._reader.ready

    async def start(self) -> None:
        """Check the topics, read `control`, see how the models do, join the group."""
        await topics.check(self._settings, self._catalogue)
        await self._control.start()
        await self._fleet.start()
        await self._rescue.start()
        await self._reader.start()

    async def stop(self) -> None:
        """Give the lanes back; the static member stays in the group, so that a restart moves nothing."""
        await self._rescue.stop()
        await self._reader.stop(leave=False)
        await self._fleet.stop()
        await self._control.stop()

    def _fail(self, error: BaseException) -> None:
        self._reader.fail(error)

    # -- what its lanes ask of it (backbone/reader.py: Work) -----------------------------------------------------------

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        """Know the names of what lies before this lane: from memory, and for the rest from the log."""
        partition = lane.place.partition
        dedupe = self._dedupe.setdefault(partition, self._new_dedupe())
        dedupe.forget_from(mark.offset)
        if mark.offset - dedupe.covered <= self._settings.dedupe_window:
            await self._read_back(lane.place, dedupe, dedupe.covered, mark.offset)
        else:
            self._dedupe[partition] = await self._rebuilt(lane.place, mark.offset)
        self._fleet.claimed(lane)
        self._rescue.claimed(lane)

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

    async def room(self) -> int:
        """A batch at a time."""
        return self._settings.router_batch

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Judge each, in slices that let the heartbeat through."""
        world, dedupe = self._world(), self._dedupe[lane.place.partition]
        slice_ends_s = time.monotonic() + SLICE_S
        for record in records:
            self._misplaced.look(record)
            result = judge(record, dedupe, world, now_ms())
            reach("decide.after_answer")
            self._fleet.sent(result)
            lane.finish(result)
            if time.monotonic() > slice_ends_s:
                await asyncio.sleep(0)
                slice_ends_s = time.monotonic() + SLICE_S

    def give_up(self, record: Record) -> Result:
        """The outcome of a record that ended its routers again and again."""
        detail = "every process that read this record died before it was routed"
        return Result(record, (dead_letter_output(record, record.source, Reason.UNDECIDABLE, detail),))

    def pending(self, lane: Lane) -> bool:
        """Nothing is: judging does not wait."""
        return False

    def dropped(self, lane: Lane) -> None:
        """Nothing is under way: only whoever has a lane may say how models do, and rescue."""
        self._rescue.dropped(lane)
        self._fleet.dropped(lane)

    def _world(self) -> World:
        policy = self._control.policy()
        if policy is None:
            raise Fatal("no policy is in force any more on topic control: run `trading-llm topics apply`")
        return World(policy, self._fleet.now(), self._choose, self._halt_for)

    def _halt_for(self, question: Question) -> Halt | None:
        if not self._settings.enable_llm_trading:
            return TRADING_DISABLED
        return self._control.halt_for(question.bot_id, question.symbol, None)
