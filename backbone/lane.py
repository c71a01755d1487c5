"""A lane: one input partition, owned by one transactional id for ever, whose every record gets exactly one outcome.

The whole of the promise rests on the order in `claim()` and on the steps of `Writer.commit()`. A lane is claimed, serves, and is
thrown away at the first doubt; the next claim starts from what the broker says is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ProducerFenced

from backbone import telemetry
from backbone.clients import record_of
from backbone.errors import Doubt, Fatal, Fenced
from backbone.order import KeyOrder
from backbone.producer import TransactionalProducer
from backbone.progress import WINDOW_OFFSETS, Mark, Progress
from backbone.protocol import NO_OFFSET, committed
from backbone.result import Result
from backbone.settings import Settings
from backbone.stops import reach
from backbone.transaction import LOST, Writer
from schemas.record import Record

SUSPECT_AFTER_CLAIMS = 2  # from here on the records that may have killed an owner are asked one by one
UNDECIDABLE_AFTER_CLAIMS = 4  # and here the first of them is given up
IDLE_COMMIT_S = 5.0  # an idle lane moves its mark past the last marker, or retention would overtake it
TICK_S = 0.1  # how often what waits (for its key, or for `control`) is looked at again
TRANSACTION_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Which partition, for which group."""

    group: str
    topic: str
    partition: int

    @property
    def transactional_id(self) -> str:
        """The id that fences: the same whoever owns the lane, on whatever machine."""
        return f"{self.group}.{self.topic}.{self.partition}"

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(slots=True)
class _Queue:
    """What is finished and not yet written."""

    ready: deque[Result] = field(default_factory=deque)
    waiting: list[Result] = field(default_factory=list)  # may not go out yet, nor be turned
    keys: set[bytes] = field(default_factory=set)  # of those that wait
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, result: Result, log_ms: int) -> Result | None:
        """What of this result may go out at this log time; None, and it waits, where that is not known yet.

        Behind an answer that waits, the later ones of its key wait too.
        """
        behind = result.ordered and _key(result.record) in self.keys
        may_go = None if behind else result if result.again is None else result.again(log_ms)
        if may_go is None:
            self.waiting.append(result)
            self.keys.add(_key(result.record))
        return may_go

    def look_again(self) -> list[Result]:
        """What waits, in its order, to be looked at once more."""
        waiting, self.waiting = self.waiting, []
        self.keys.clear()
        return waiting


class _Bytes:
    """How much a lane holds: its records' values, and their results until they are written."""

    def __init__(self) -> None:
        self.held = 0
        self._of: dict[int, int] = {}

    def add(self, offset: int, size_bytes: int) -> None:
        self.held += size_bytes
        self._of[offset] = self._of.get(offset, 0) + size_bytes

    def drop(self, offsets: Collection[int]) -> None:
        self.held -= sum(self._of.pop(offset) for offset in offsets)


class Lane:
    """One claim of one partition. Everything on it runs in the event loop of its reader."""

    def __init__(self, place: Place, consumer: AIOKafkaConsumer, settings: Settings, count_claim: bool) -> None:
        self.place = place
        self._consumer, self._settings, self._count_claim = consumer, settings, count_claim
        self._partition = TopicPartition(place.topic, place.partition)
        self._producer = TransactionalProducer(settings, place.transactional_id)
        self._writer = Writer(self._producer, place.group, self._partition, settings.commit_doubt_s)
        self._progress = Progress(Mark(0))
        self._order: KeyOrder[Result] = KeyOrder()
        self._queue = _Queue()
        self._space = asyncio.Event()
        self._bytes = _Bytes()
        self._backlog: deque[Record] = deque()
        self._claims = 0
        self._careful_below = 0
        self._active_s = time.monotonic()
        self._marked = 0
        self._looked_s = 0.0
        self.progressed = False
        self._closing = False

    # -- claiming ---------------------------------------------------------------------------------------------------

    async def claim(self) -> Mark:
        """Take the lane: whoever had it can write no more, and we start where the broker says it stands.

        1. fence  2. the committed mark, with nothing pending  3. seek. Only then is a record accepted.
        Fatal where nothing is committed, or where it lies below the log's start: never "earliest".
        """
        try:
            async with asyncio.timeout(self._settings.claim_s):
                await self._producer.start()  # 1
                reach("claim.after_fence")
                offset, metadata = await committed(self._producer.client, *self._coordinates())  # 2
                reach("claim.after_offset")
                await self._check(offset)
                end = (await self._consumer.end_offsets([self._partition]))[self._partition]
            mark = Mark.parse(offset, metadata)
        except ProducerFenced as error:
            raise Fenced(f"lane {self.place} was claimed elsewhere") from error
        except LOST as error:
            raise Doubt(f"claim of {self.place}: {error!r}") from error
        except ValueError as error:
            raise Fatal(f"{self.place}: {error}: somebody else commits for group {self.place.group}") from error
        self._consumer.seek(self._partition, mark.offset)  # 3
        self._progress, self._claims, self._marked = Progress(mark), mark.claims, mark.offset
        if mark.claims + self._count_claim >= SUSPECT_AFTER_CLAIMS:
            self._careful_below = min(mark.offset + WINDOW_OFFSETS, end)  # what came later, no dead owner can have read
            telemetry.event("lane.careful", lane=self.place, claims=mark.claims)
        telemetry.event("lane.claimed", topic=self.place.topic, partition=self.place.partition, offset=mark.offset)
        return mark

    def _coordinates(self) -> tuple[str, str, int]:
        return self.place.group, self.place.topic, self.place.partition

    async def _check(self, offset: int) -> None:
        if offset == NO_OFFSET:
            raise Fatal(
                f"group {self.place.group} has no offset on {self.place}: starting anywhere would lose contexts or decide them "
                "twice. New topics get theirs from `trading-llm topics apply`; on old ones set it by kafka-consumer-groups"
            )
        start = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
        if offset < start:
            raise Fatal(
                f"group {self.place.group} stands at {offset} of {self.place}, whose log starts at {start}: what lay between "
                "was deleted undecided. Set the offset by kafka-consumer-groups once you know what was lost"
            )

    # -- reading ----------------------------------------------------------------------------------------------------

    async def read(self, records_max: int) -> list[Record]:
        """The next records to decide, each once; waits while the lane is full, and at most a second for records."""
        while not self._room() or self._closing:
            self._space.clear()
            await self._space.wait()
        if not self._backlog:
            await self._poll(records_max)
        return [] if self._closing else self._deliver(1 if self.careful else records_max)

    def _room(self) -> bool:
        if self.careful and self._progress.unfinished:
            return False
        if self._backlog and not self._progress.fits(self._backlog[0].source.offset):
            return False
        few = self._progress.unfinished < self._settings.lane_records_max
        return few and self._bytes.held < self._settings.lane_bytes_max

    @property
    def careful(self) -> bool:
        """Whether its records are asked one by one: one of them may have ended its askers."""
        return self._progress.lowest < self._careful_below

    async def emptied(self) -> None:
        """Wait until everything that was read is written."""
        while self._progress.unfinished:
            self._space.clear()
            await self._space.wait()

    async def _poll(self, records_max: int) -> None:
        read = await self._consumer.getmany(self._partition, timeout_ms=1000, max_records=max(1, records_max))
        reach("read.after_poll")
        self._backlog.extend(record_of(each) for each in read.get(self._partition, ()))
        if self._backlog:
            self._active_s = time.monotonic()
        else:
            self._progress.pass_by(await self._consumer.position(self._partition))
            self._mark_idle()

    def _mark_idle(self) -> None:
        idle = time.monotonic() - self._active_s > IDLE_COMMIT_S and not self._progress.unfinished
        if idle and self._progress.position > self._marked:
            self._queue.wake.set()

    def _deliver(self, records_max: int) -> list[Record]:
        out: list[Record] = []
        while self._backlog and len(out) < records_max and self._progress.fits(self._backlog[0].source.offset):
            record = self._backlog.popleft()
            if self._progress.deliver(record.source.offset):
                self._order.deliver(_key(record), record.source.offset)
                self._bytes.add(record.source.offset, len(record.value))
                out.append(record)
        return out

    @property
    def uncounted(self) -> bool:
        """Whether this process has taken up no record of the partition yet."""
        return self._count_claim

    async def count(self) -> None:
        """Say, once a claim, that records are taken up, before any of them can kill this process."""
        if self._count_claim:
            self._count_claim = False
            self._claims += 1
            await self._writer.commit((), lambda: self._progress.mark(claims=self._claims))

    @property
    def suspected(self) -> bool:
        """Whether the first record that was read must be given up: its askers died too often."""
        return self._claims >= UNDECIDABLE_AFTER_CLAIMS

    # -- writing ----------------------------------------------------------------------------------------------------

    def finish(self, result: Result) -> None:
        """This record has its result; it is written as soon as it may be."""
        record = result.record
        self._bytes.add(record.source.offset, result.size_bytes)
        if result.ordered:
            released = self._order.finish(_key(record), record.source.offset, result)
        else:
            released = [result, *self._order.leave(_key(record), record.source.offset)]
        self._queue.ready.extend(released)
        if released:
            self._queue.wake.set()

    async def write(self) -> None:
        """Write results as they come, for ever; several that are ready go into one transaction. Ends by Doubt only."""
        while True:
            await self._awake()
            if results := self._take():
                await self._write(results)
            elif self._progress.position > self._marked and not self._progress.unfinished:
                await self._writer.commit((), self._mark)

    async def _awake(self) -> None:
        try:
            async with asyncio.timeout(TICK_S if self._holds_back else None):
                await self._queue.wake.wait()
        except TimeoutError:
            pass
        self._queue.wake.clear()
        # By the clock, not by the silence: a busy lane's results would keep what waits from ever being looked at.
        if self._holds_back and time.monotonic() - self._looked_s >= TICK_S:
            self._looked_s = time.monotonic()
            self._look_again()

    @property
    def _holds_back(self) -> bool:
        return bool(self._queue.waiting or len(self._order))

    def _look_again(self) -> None:
        """What waited too long for an earlier record of its key goes out by itself, turned into what it may still be."""
        self._queue.ready.extendleft(reversed(self._queue.look_again()))
        for offset, held in self._order.held():
            turned = held if held.again is None else held.again(now_ms())
            if turned is None or turned is held:
                continue
            if turned.ordered:  # another halt, and still a model's answer: it keeps its place
                self._order.replace(offset, turned)
            else:
                self._queue.ready.extend([turned, *self._order.leave(_key(held.record), offset)])

    def _take(self) -> list[Result]:
        out: list[Result] = []
        size_bytes = 0
        while self._queue.ready and size_bytes < TRANSACTION_BYTES_MAX and len(out) < self._settings.lane_records_max:
            if (may_go := self._queue.look(self._queue.ready.popleft(), now_ms())) is not None:
                out.append(may_go)
                size_bytes += may_go.size_bytes
        if self._queue.ready:
            self._queue.wake.set()
        return out

    async def _write(self, results: list[Result]) -> None:
        offsets = frozenset(result.record.source.offset for result in results)
        started_s = time.monotonic()
        refused_ms = await self._writer.commit(results, lambda: self._mark(offsets))
        if refused_ms is not None:
            self._turn(results, refused_ms)
            return
        self._progress.finish(offsets)
        self._claims, self.progressed = 0, True
        self._bytes.drop(offsets)
        self._space.set()
        telemetry.committed(self.place.topic, results, time.monotonic() - started_s)

    def _turn(self, results: list[Result], log_ms: int) -> None:
        """By the log's clock one of these may not go out as it is: it is turned by that clock, and all go again."""
        telemetry.ABORTED.inc()
        looked = [self._queue.look(result, log_ms) for result in results]
        self._queue.ready.extendleft(result for result in reversed(looked) if result is not None)
        self._queue.wake.set()

    def _mark(self, finishing: frozenset[int] = frozenset()) -> Mark:
        mark = self._progress.mark(finishing, claims=0 if finishing else self._claims)
        self._marked = mark.offset
        return mark

    # -- ending -----------------------------------------------------------------------------------------------------

    def close_intake(self) -> None:
        """Take up nothing more; what is held is still written."""
        self._closing = True

    async def drain(self, seconds: float, pending: Callable[[], bool]) -> None:
        """Wait until what is held is written, at most so long; `pending` says whether somebody still works on it."""
        until_s = time.monotonic() + seconds
        while self._progress.unfinished and time.monotonic() < until_s:
            if not (pending() or self._queue.ready or self._holds_back or self._writer.busy):
                return
            await asyncio.sleep(0.02)

    async def hand_back(self) -> None:
        """An owner that leaves in peace takes its claim off the count, so that its successor suspects nobody."""
        if self._progress.unfinished and self._claims and not self._count_claim:
            await self._writer.commit((), lambda: self._progress.mark(claims=max(0, self._claims - 1)))

    async def close(self) -> None:
        """Throw the producer away. What was open is aborted by the next claim's fence, or by its time-out."""
        await self._producer.close()


def _key(record: Record) -> bytes:
    return record.key or b""


def now_ms() -> int:
    """The wall clock, epoch milliseconds; what the log's append time is compared with."""
    return int(time.time() * 1000)
