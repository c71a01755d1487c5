"""A process's place in a group: it gets partitions, keeps a lane open on each, and hands out what the lanes read."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from backbone import clients, telemetry
from backbone.cancellation import heed
from backbone.errors import Doubt, Fatal, Fenced, Transient
from backbone.lane import Lane, Place
from backbone.membership import Membership
from backbone.progress import Mark
from backbone.protocol import leave_group
from backbone.settings import Settings
from backbone.stops import reach
from schemas.record import Record
from schemas.result import Result

# A fenced process must first learn whether the lane moved: two heartbeats. Two parties that both claim at once are a livelock.
FENCED_PAUSE_HEARTBEATS = 2
PAUSE_S = 0.05
PAUSE_S_MAX = 1.0
LET_BY_EVERY_S = 0.05  # how often a reader behind another one looks whether it may hand out
ENDING_S_MAX = 4 * clients.STOP_S_MAX  # its producer's connections, one after the other


class Work(Protocol):
    """What a room does with the records of its lanes. A lane that is dropped takes no more results."""

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        """A lane is ours and stands at this mark; nothing is read before this returns."""

    async def room(self) -> int:
        """How many records to ask for next, at least 1; waits until there is room for one."""

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Decide these, now or later: one `lane.finish` for each."""

    def give_up(self, record: Record) -> Result:
        """The outcome of a record that ended its owners again and again."""

    def pending(self, lane: Lane) -> bool:
        """Whether anything of this lane is still being worked on."""

    def dropped(self, lane: Lane) -> None:
        """The lane is lost or given back: stop what is under way for it."""


class Reader:
    """One static member of one group on one topic. `failed` is done, with the reason, when it cannot go on.

    `before` is the reader of the same process that goes first, if any: this one hands out what that one lets by.
    """

    def __init__(self, settings: Settings, group: str, topic: str, work: Work, before: Reader | None = None) -> None:
        self._settings, self._group, self._topic, self._work, self._before = settings, group, topic, work, before
        instance = f"{group}-{settings.ordinal}"
        fetch_wait_ms = clients.FETCH_WAIT_MS if before is None else clients.SECOND_FETCH_WAIT_MS
        self._consumer: AIOKafkaConsumer = clients.member(settings, group, instance, fetch_wait_ms)
        self._membership = Membership(self._consumer, group, instance)
        self._lanes: dict[TopicPartition, asyncio.Task[None]] = {}
        self._open: dict[TopicPartition, Lane] = {}
        self._counted: set[Place] = set()  # whose marks count a claim of this process
        self._giving_back = False
        self._alone = asyncio.Lock()
        self._stopping = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.assigned = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether every partition that was assigned has its lane."""
        return self.assigned.is_set() and self._open.keys() >= self._lanes.keys() and not self.failed.done()

    async def start(self) -> None:
        """Join the group; lanes open as partitions come."""
        self._consumer.subscribe([self._topic], listener=_Listener(self))
        try:
            await self._consumer.start()
        except KafkaError as error:
            raise Fatal(f"cannot read {self._topic} as {self._group}: {error!r}") from error

    async def stop(self, *, leave: bool) -> None:
        """Finish what is held, within `drain_s`, and give the lanes back; `leave`: so that others have them at once."""
        self._stopping = True
        await self.close_lanes(0.0 if self.failed.done() else self._settings.drain_s)
        if leave:
            await self._leave()
        await clients.stop(self._consumer)

    async def _leave(self) -> None:
        coordinator = self._consumer._coordinator
        if coordinator is None:
            return  # it never joined
        try:
            async with asyncio.timeout(clients.STOP_S_MAX):
                await leave_group(self._consumer._client, self._group, coordinator.member_id)
        except (KafkaError, TimeoutError, OSError) as error:
            telemetry.event("group.not_left", group=self._group, error=repr(error))

    # -- lanes ------------------------------------------------------------------------------------------------------

    def joined(self, partitions: Collection[TopicPartition]) -> None:
        """These are ours: keep a lane on each of them from now on."""
        self._membership.joined()
        for each in () if self._stopping else partitions:
            if each not in self._lanes:
                task = asyncio.create_task(self._keep(each), name=f"lane {each.topic}/{each.partition}")
                task.add_done_callback(self._ended)
                self._lanes[each] = task
        self.assigned.set()

    async def keep_place(self) -> None:
        """Return while our name in the group is ours; else end this process, and join no more: the other one goes on."""
        if await self._membership.is_taken():
            name = self._membership.instance
            self.fail(Fatal(f"another process runs as {name} in group {self._group}: give each its own ordinal"))
            await asyncio.Event().wait()  # until this process has ended: the join waits for us

    async def close_lanes(self, drain_s: float) -> None:
        """Give every lane back: finish what is under way within so many seconds, then end. None is claimed meanwhile."""
        self._giving_back = True
        for partition in self._lanes.keys() - self._open.keys():
            self._lanes[partition].cancel()
        await asyncio.gather(*(self._drain(lane, drain_s) for lane in self._open.values()))
        for task in self._lanes.values():
            task.cancel()
        if self._lanes and (await asyncio.wait(self._lanes.values(), timeout=ENDING_S_MAX))[1]:
            # It would read beside its successor, which would take what it got for offsets that are never delivered.
            self.fail(Fatal(f"a lane of {self._topic} was given back and goes on: its process must end"))
        self._lanes.clear()
        self._open.clear()
        self._giving_back = False

    async def _drain(self, lane: Lane, drain_s: float) -> None:
        lane.close_intake()
        await lane.drain(drain_s, lambda: self._work.pending(lane))
        if self.failed.done():
            return  # this process dies of something: what it held may be why, and stays counted
        try:
            await lane.hand_back()
            self._counted.discard(lane.place)
        except Doubt as doubt:
            telemetry.event("lane.not_handed_back", lane=lane.place, error=doubt)

    async def _keep(self, partition: TopicPartition) -> None:
        """Claim, serve, and after any doubt claim again, with growing pauses, for as long as the partition is ours."""
        pause_s = PAUSE_S
        place = Place(self._group, partition.topic, partition.partition)
        while not self._giving_back:
            lane = Lane(place, self._consumer, self._settings, count_claim=place not in self._counted)
            try:
                mark = await lane.claim()
                heed()
                await self._work.claimed(lane, mark)
                heed()
                self._open[partition] = lane
                telemetry.LANES.labels(self._topic).set(len(self._open))
                await lane.serve(self._intake(lane))
            except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
                raise Fatal(f"{place}: {error!r}: the log no longer holds what is committed") from error
            except (Doubt, Transient, KafkaError) as error:
                pause_s = self._lost(lane, error, PAUSE_S if lane.state.progressed else pause_s)
            finally:
                if self._open.get(partition) is lane:
                    del self._open[partition]
                telemetry.LANES.labels(self._topic).set(len(self._open))
                self._work.dropped(lane)
                await lane.close()
            await asyncio.sleep(pause_s)

    def _lost(self, lane: Lane, error: Exception, pause_s: float) -> float:
        telemetry.LANES_LOST.labels(type(error).__name__).inc()
        telemetry.event("lane.lost", lane=lane.place, error=error)
        if self._consumer._coordinator._coordination_task.done():
            raise Fatal(
                f"membership of {self._group} ended: {error!r}; is another process running under this ordinal?"
            ) from error
        if isinstance(error, Fenced):
            return FENCED_PAUSE_HEARTBEATS * self._settings.heartbeat_interval_s
        return min(pause_s * 2, PAUSE_S_MAX)

    async def _intake(self, lane: Lane) -> None:
        while True:
            heed()
            records = await lane.read(await self._work.room())
            if not records:
                continue
            if not self._careful:
                await self._hand_out(lane, records)
                continue
            # One lane at a time, in the whole process: else a record that kills it would bring the others' under suspicion.
            async with self._alone:
                await self._hand_out(lane, records)
                await lane.emptied()

    @property
    def _careful(self) -> bool:
        return any(each.state.careful for each in self._open.values())

    def lets_by(self, *, careful: bool) -> bool:
        """Whether the reader behind this one may hand out; `careful`: its records may have ended their askers.

        A process that dies brings all under suspicion that it had taken up. So what may kill is asked alone here too, whichever
        reader has it; and who goes first never waits for the other.
        """
        return self.ready and not self._careful and not (careful and any(each.state.unfinished for each in self._open.values()))

    async def _let_by(self) -> None:
        while self._before is not None and not self._before.lets_by(careful=self._careful):
            heed()
            await asyncio.sleep(LET_BY_EVERY_S)

    async def _hand_out(self, lane: Lane, records: list[Record]) -> None:
        await self._let_by()
        await lane.count()
        self._counted.add(lane.place)
        if lane.state.suspected:
            lane.finish(self._work.give_up(records.pop(0)))
        if records:
            await self._work.handle(lane, records)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End this process: what happened here cannot be mended inside it."""
        if not self.failed.done():
            self.failed.set_exception(error)


class _Listener(ConsumerRebalanceListener):
    """aiokafka only logs what a listener raises; here it ends the process."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        try:
            reach("revoke.inside")
            await self._reader.keep_place()
            await self._reader.close_lanes(self._reader._settings.revoke_drain_s)
        except Exception as error:
            self._reader.fail(error)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        try:
            self._reader.joined(assigned)
        except Exception as error:
            self._reader.fail(error)
