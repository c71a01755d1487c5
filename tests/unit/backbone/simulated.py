"""The product's own reader, lane and writer on the model's broker: what they do when a request fails or a lane is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ProducerFenced

from backbone import clients, lane
from backbone.lane import Lane
from backbone.progress import Mark
from backbone.reader import Reader
from backbone.settings import Settings
from schemas.record import Output, Record
from schemas.result import Result
from schemas.source import Source
from tests.model.broker import Broker, FencedOff, Unstable, Written

GROUP, TOPIC = "worker.phi3", "contexts.phi3"
PARTITION = TopicPartition(TOPIC, 0)
PAUSE_S = 0.005
Step = Callable[[], Awaitable[object]]


class Stage:
    """One broker with one lane, and what goes wrong on it: `before` is called at the named step of a transaction with outputs."""

    def __init__(self, records: int) -> None:
        self.broker = Broker()
        self.before: dict[str, Step] = {}
        self.caused: dict[bytes, Record] = {}
        self.writing = self.most_writing = 0
        for _ in range(records):
            self.append()

    def append(self, key: bytes = b"k") -> None:
        """One more record of the input."""
        record = Record(Source(TOPIC, 0, len(self.broker.input)), key, b"value", (), 0)
        self.broker.input.append(record)
        self.caused[b"outcome of %d" % record.source.offset] = record

    @property
    def outcomes(self) -> list[int]:
        """The offsets that have an outcome, as often as they have one."""
        return [each.src for each in self.broker.outcomes]

    def answer(self, record: Record) -> Result:
        """An outcome of this record."""
        return Result(record, (Output("decisions", record.key, b"outcome of %d" % record.source.offset, ()),))


class Producer:
    """As the product's, on the model's broker."""

    stage: Stage

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self._id, self._epoch, self.client = transactional_id, -1, None

    async def start(self) -> None:
        await asyncio.sleep(PAUSE_S)
        await self._at("start")
        self._epoch = self.stage.broker.init(self._id)

    async def produce(self, outputs: Iterable[Output]) -> int:
        stage = self.stage
        stage.writing += 1
        stage.most_writing = max(stage.most_writing, stage.writing)
        written = [Written(stage.caused[each.value], each, False, stage.broker.now_ms) for each in outputs]
        await asyncio.sleep(PAUSE_S)
        self._owned(lambda: stage.broker.produce(self._id, self._epoch, written))
        await self._at("produce", bool(written))
        return stage.broker.now_ms

    async def commit_offset(self, group: str, at: TopicPartition, offset: int, metadata: str) -> None:
        await self._at("offset", self._has_outputs)
        await asyncio.sleep(PAUSE_S)
        self._owned(lambda: self.stage.broker.move(self._id, self._epoch, Mark.parse(offset, metadata)))

    async def end(self, *, commit: bool) -> None:
        await self._at("end", self._has_outputs)
        await asyncio.sleep(PAUSE_S)
        self._epoch = self._owned(lambda: self.stage.broker.end(self._id, self._epoch, commit=commit))
        self.stage.writing -= 1

    async def close(self) -> None:
        await asyncio.sleep(PAUSE_S)

    @property
    def _has_outputs(self) -> bool:
        return bool(self.stage.broker._producers[self._id].outputs)

    async def _at(self, step: str, holds: bool = True) -> None:
        if holds and step in self.stage.before:
            await self.stage.before[step]()

    def _owned(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except FencedOff:
            raise ProducerFenced("fenced") from None


class Consumer:
    """A member of a group that always has the partition; one position, whoever reads."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._position = stage, 0
        member = SimpleNamespace(done=lambda: False)
        self._coordinator = SimpleNamespace(_coordination_task=member, member_id="one")  # as the client library calls it

    def subscribe(self, topics: list[str], listener: ConsumerRebalanceListener) -> None:
        self._listener = listener

    async def start(self) -> None:
        await self._listener.on_partitions_assigned([PARTITION])

    async def stop(self) -> None:
        await asyncio.sleep(PAUSE_S)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._position = offset

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self._stage.broker.input))

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def position(self, partition: TopicPartition) -> int:
        return self._position

    async def getmany(self, partition: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        found, self._position = self._stage.broker.fetch(self._position, max_records)
        if not found:
            await asyncio.sleep(PAUSE_S)
        return {partition: found} if found else {}


class Work:
    """Answers each record after a moment, unless `hangs`."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._tasks = stage, dict[Lane, set[asyncio.Task[None]]]()
        self.hangs = False
        self.lanes: list[Lane] = []
        self.given_up: list[int] = []
        self.claiming: Step | None = None

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        self._tasks[lane] = set()
        self.lanes.append(lane)
        if (claiming := self.claiming) is not None:
            self.claiming = None
            await claiming()

    async def room(self) -> int:
        return 10

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        self._tasks[lane] |= {asyncio.create_task(self._answer(lane, each)) for each in records}

    async def _answer(self, lane: Lane, record: Record) -> None:
        await asyncio.sleep(3_600 if self.hangs else 2 * PAUSE_S)
        lane.finish(self._stage.answer(record))

    def give_up(self, record: Record) -> Result:
        self.given_up.append(record.source.offset)
        return self._stage.answer(record)

    def pending(self, lane: Lane) -> bool:
        return any(not each.done() for each in self._tasks.get(lane, ()))

    @property
    def pending_anywhere(self) -> bool:
        """Whether some record is being worked on."""
        return any(self.pending(lane) for lane in self._tasks)

    def dropped(self, lane: Lane) -> None:
        for task in self._tasks.pop(lane, ()):
            task.cancel()


async def committed(client: object, group: str, topic: str, partition: int) -> tuple[int, str]:
    """The group's offset, once nothing is pending on it."""
    while True:
        try:
            return Producer.stage.broker.stable() or (-1, "")
        except Unstable:
            await asyncio.sleep(PAUSE_S)


def reader_on(stage: Stage, patch: pytest.MonkeyPatch, **settings: Any) -> tuple[Reader, Work]:
    """A reader of the product on this stage, and its work; nothing is assigned to it yet."""
    put_on(stage, patch)
    work = Work(stage)
    return Reader(Settings(**settings), GROUP, TOPIC, work), work


def put_on(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Let the product's lanes stand on this stage from now on."""
    Producer.stage = stage
    patch.setattr(lane, "TransactionalProducer", Producer)
    patch.setattr(lane, "committed", committed)
    patch.setattr(lane, "record_of", lambda record: record)
    patch.setattr(clients, "member", lambda *_: Consumer(stage))


async def until(holds: Callable[[], bool], what: str, s_max: float = 5.0) -> None:
    """Wait until that holds."""
    until_s = asyncio.get_running_loop().time() + s_max
    while not holds():
        assert asyncio.get_running_loop().time() < until_s, f"not within {s_max} s: {what}"
        await asyncio.sleep(PAUSE_S)
