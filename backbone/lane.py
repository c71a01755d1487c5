"""A lane: one input partition, owned by one transactional id for ever, whose every record gets exactly one outcome.

The whole of the promise rests on the order in `claim()`, on the steps of `Writer.commit()`, and on what `LaneState` decides; here
bytes are moved. A lane is claimed, serves, and is thrown away at the first doubt; the next claim starts from what the broker
says is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ProducerFenced

from backbone import telemetry
from backbone.cancellation import heed
from backbone.clients import record_of
from backbone.errors import Doubt, Fatal, Fenced
from backbone.lane_state import LaneState, Limits, Write
from backbone.producer import TransactionalProducer
from backbone.progress import Mark
from backbone.protocol import NO_OFFSET, committed
from backbone.settings import Settings
from backbone.stops import reach
from backbone.transaction import LOST, Writer
from schemas.record import Output, Record
from schemas.result import Result

TICK_S = 0.1  # how often what waits (for its key, or for `control`) is looked at again


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


class Lane:
    """One claim of one partition. Everything on it runs in the event loop of its reader."""

    def __init__(self, place: Place, consumer: AIOKafkaConsumer, settings: Settings, count_claim: bool) -> None:
        self.place = place
        self._consumer, self._settings = consumer, settings
        self._partition = TopicPartition(place.topic, place.partition)
        self._producer = TransactionalProducer(settings, place.transactional_id)
        self._writer = Writer(self._producer, place.group, self._partition, settings.commit_doubt_s)
        self.state = LaneState(Limits(settings.lane_records_max, settings.lane_bytes_max), count_claim=count_claim)
        self._wake = asyncio.Event()
        self._space = asyncio.Event()
        self._notices: list[tuple[Sequence[Output], asyncio.Future[bool]]] = []
        self._looked_s = 0.0
        self._write_by_s = 0.0  # what is ready may wait until then for others of this lane
        self.on_written: Callable[[Sequence[Result]], None] = lambda results: None  # told of what was committed
        self._closing = self._closed = False

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
        self.state.start(mark, end, time.monotonic())
        if self.state.careful:
            telemetry.event("lane.careful", lane=self.place, claims=mark.claims)
        telemetry.event("lane.claimed", topic=self.place.topic, partition=self.place.partition, offset=mark.offset)
        return mark

    def _coordinates(self) -> tuple[str, str, int]:
        return self.place.group, self.place.topic, self.place.partition

    async def _check(self, offset: int) -> None:
        if offset == NO_OFFSET:
            raise Fatal(
                f"group {self.place.group} has no offset on {self.place}: starting anywhere would lose contexts or decide them "
                "twice. New topics get theirs from `trading-llm topics apply`; on old ones set it by kafka-consumer-groups. "
                f"{self._when_it_can_be_set}"
            )
        start = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
        if offset < start:
            raise Fatal(
                f"group {self.place.group} stands at {offset} of {self.place}, whose log starts at {start}: what lay between "
                "was deleted undecided. Once you know what was lost, set it by kafka-consumer-groups. "
                f"{self._when_it_can_be_set}"
            )

    @property
    def _when_it_can_be_set(self) -> str:
        # A static member that ended, this process too, stays in its group until its session is over.
        session = f"the {self._settings.session_timeout_s:g} s of their sessions"
        return f"That works only while the group has no member: stop all its processes, and wait for the end of {session}"

    # -- reading ----------------------------------------------------------------------------------------------------

    async def read(self, records_max: int) -> list[Record]:
        """The next records to decide, each once; waits while the lane is full, and at most a second for records."""
        while not self.state.room or self._closing:
            self._space.clear()
            await self._space.wait()
        if self.state.needs_records:
            await self._poll(records_max)
        return [] if self._closing else self.state.deliver(records_max)

    async def _poll(self, records_max: int) -> None:
        read = await self._consumer.getmany(self._partition, timeout_ms=1000, max_records=max(1, records_max))
        reach("read.after_poll")
        if records := read.get(self._partition):
            self.state.read(map(record_of, records), time.monotonic())
            return
        self.state.read_nothing(await self._consumer.position(self._partition))
        if self.state.is_idle(time.monotonic()):
            self._wake.set()

    async def emptied(self) -> None:
        """Wait until everything that was read is written."""
        while self.state.unfinished:
            heed()
            self._space.clear()
            await self._space.wait()

    async def count(self) -> None:
        """Say, once a claim, that records are taken up, before any of them can kill this process."""
        if self.state.count():
            await self._writer.commit((), self.state.mark)

    # -- writing ----------------------------------------------------------------------------------------------------

    def finish(self, result: Result, may_wait_s: float = 0.0) -> None:
        """This record has its result; it is written as soon as it may be, or so much later, together with others to come."""
        by_s = time.monotonic() + may_wait_s
        self._write_by_s = min(self._write_by_s, by_s) if self.state.ready else by_s
        self.state.finish(result)
        if self.state.ready or self.state.holds_back:  # what is held back is looked at as time passes, from now on
            self._wake.set()

    async def announce(self, outputs: Sequence[Output]) -> bool:
        """Write what no record caused, under this lane's fence and with its mark as it stands: whoever lost the lane cannot.

        False where nobody knows whether it was written: the lane is thrown away.
        """
        if self._closed:
            return False
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._notices.append((outputs, written))
        self._wake.set()
        return await written

    async def write(self) -> None:
        """Write results as they come, for ever; several that are ready go into one transaction. Ends by Doubt only."""
        while True:
            heed()
            await self._awake()
            await self._gather()
            await self._write_notices()
            write = self.state.next_write(now_ms())
            if self.state.ready:
                self._wake.set()
            if write is not None:
                await self._write(write)

    async def _gather(self) -> None:
        """Let what is ready wait for others, while there are any that have no result, and for as long as it may."""
        while self.state.ready and self.state.asked and not (self._closing or self._notices):
            try:
                async with asyncio.timeout(self._write_by_s - time.monotonic()):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()

    async def _write_notices(self) -> None:
        # Here and not where they are announced: a doubt must end this lane, and only its writer's end does.
        while self._notices:
            outputs, written = self._notices[0]
            await self._writer.commit((), self.state.mark, outputs)
            self._notices.pop(0)
            if not written.done():
                written.set_result(True)

    async def _awake(self) -> None:
        try:
            async with asyncio.timeout(TICK_S if self.state.holds_back else None):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        # By the clock, not by the silence: a busy lane's results would keep what waits from ever being looked at.
        if self.state.holds_back and time.monotonic() - self._looked_s >= TICK_S:
            self._looked_s = time.monotonic()
            self.state.look_again(now_ms())

    async def _write(self, write: Write) -> None:
        started_s = time.monotonic()
        refused_ms = await self._writer.commit(write.results, lambda: self.state.mark(write))
        if refused_ms is not None:
            telemetry.ABORTED.inc()
            self.state.refused(write, refused_ms)
            self._wake.set()
            return
        self.state.written(write)
        self._space.set()
        if write.results:
            telemetry.committed(self.place.topic, write.results, time.monotonic() - started_s)
            self.on_written(write.results)

    async def serve(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do this, and write what comes of it, until one of them ends or raises; then all have ended."""
        tasks = {asyncio.create_task(each) for each in (*work, self.write())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- ending -----------------------------------------------------------------------------------------------------

    def close_intake(self) -> None:
        """Take up nothing more; what is held is still written, and waits for no other."""
        self._closing = True
        self._wake.set()

    async def drain(self, seconds: float, pending: Callable[[], bool]) -> None:
        """Wait until what is held is written, at most so long; `pending` says whether somebody still works on it."""
        until_s = time.monotonic() + seconds
        while self.state.unfinished and time.monotonic() < until_s:
            if not (pending() or self.state.ready or self.state.holds_back or self._writer.busy):
                return
            await asyncio.sleep(0.02)

    async def hand_back(self) -> None:
        """An owner that leaves in peace takes its claim off the count, so that its successor suspects nobody."""
        if self.state.stays_counted:
            await self._writer.commit((), self.state.mark_handed_back)

    async def close(self) -> None:
        """Throw the producer away. What was open is aborted by the next claim's fence, or by its time-out."""
        self._closed = True
        for _, written in self._notices:
            if not written.done():
                written.set_result(False)
        await self._producer.close()


def now_ms() -> int:
    """The wall clock, epoch milliseconds; what the log's append time is compared with."""
    return int(time.time() * 1000)
