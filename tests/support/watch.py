"""Reads everything that a run writes, while it runs: the logs that a verdict is made from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient

from backbone import clients
from backbone.clients import TopicPartition
from backbone.progress import Mark
from backbone.settings import Settings
from schemas.headers import SRC, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS, model_topic
from tests.support.verdict import Logs, Place, Verdict, judge


class Watch:
    """A committed reader of a pipeline's live topics, from their beginnings on."""

    def __init__(self, bootstrap: str, models: Sequence[str]) -> None:
        self.settings = Settings(kafka_bootstrap=bootstrap)
        self._models = tuple(models)
        self._consumer = clients.reader(self.settings, auto_offset_reset="earliest")
        self._raw = clients.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
        self._seen: dict[str, list[Record]] = {topic: [] for topic in self.topics}
        self.answered: set[Source] = set()

    @property
    def topics(self) -> tuple[str, ...]:
        """All that is read."""
        return (CONTEXTS, DECISIONS, DEAD_LETTERS, *map(model_topic, self._models))

    def of(self, topic: str) -> tuple[Record, ...]:
        """The records of a topic so far, in each partition in the log's order."""
        return tuple(self._seen[topic])

    async def start(self) -> None:
        """Begin at the beginnings."""
        await self._consumer.start()
        await self._raw.start()
        self._consumer.assign(await self._partitions(self.topics))

    async def stop(self) -> None:
        """Leave."""
        await clients.stop(self._consumer)
        await clients.stop(self._raw)

    async def read(self) -> None:
        """Take in what is there now, at most some of it."""
        for records in (await self._consumer.getmany(timeout_ms=100, max_records=5_000)).values():
            for each in records:
                self._seen[each.topic].append(clients.record_of(each))
                if each.topic in (DECISIONS, DEAD_LETTERS):
                    self.answered.add(Source.parse(header_text(self._seen[each.topic][-1].headers, SRC) or ""))

    async def until(self, holds: Callable[[], bool], what: str, s_max: float = 60.0) -> None:
        """Read until that holds; AssertionError, naming it, where it does not within so many seconds."""
        deadline = time.monotonic() + s_max
        while not holds():
            assert time.monotonic() < deadline, f"not within {s_max:.0f} s: {what}"
            await self.read()

    async def until_answered(self, sources: Iterable[Source], s_max: float = 60.0) -> None:
        """Read until each of these contexts has an outcome."""
        wanted = set(sources)
        deadline = time.monotonic() + s_max
        while left := wanted - self.answered:
            assert time.monotonic() < deadline, f"{len(left)} contexts have no outcome after {s_max:.0f} s: {sorted(left)[:5]}"
            await self.read()

    async def settled(self, s_max: float = 60.0) -> Verdict:
        """The verdict once every context has its outcome, no transaction is open and the marks have come up to them."""
        deadline = time.monotonic() + s_max
        found = await self.verdict()
        while not found.holds and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            found = await self.verdict()
        return found

    async def verdict(self) -> Verdict:
        """The verdict on everything up to now."""
        marks, ends = await self.marks(), await self._ends(self.topics)
        until_s = time.monotonic() + 5
        while await self._behind(ends) and time.monotonic() < until_s:
            await self.read()
        return judge(Logs(
            contexts=self.of(CONTEXTS), decisions=self.of(DECISIONS), dead_letters=self.of(DEAD_LETTERS),
            hops=tuple(record for model in self._models for record in self.of(model_topic(model))),
            marks=marks, open_places=await self._behind(ends),
        ))  # fmt: skip

    async def marks(self) -> dict[Place, Mark]:
        """What each lane's group has committed."""
        groups = {"router": CONTEXTS} | {f"worker.{model}": model_topic(model) for model in self._models}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        await admin.start()
        try:
            found: dict[Place, Mark] = {}
            for group, topic in groups.items():
                offsets = await admin.list_consumer_group_offsets(group)
                found |= {
                    (p.topic, p.partition): Mark.parse(at.offset, at.metadata) for p, at in offsets.items() if p.topic == topic
                }
            return found
        finally:
            await admin.close()

    async def _behind(self, ends: dict[TopicPartition, int]) -> list[Place]:
        """Where the committed reader cannot get to what was the end: a transaction is open there."""
        return [(each.topic, each.partition) for each, end in ends.items() if await self._consumer.position(each) < end]

    async def _ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await self._raw.end_offsets(await self._partitions(topics))
        return found

    async def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        counts = {topic: 4 if topic not in (CONTEXTS, DECISIONS) else 8 for topic in topics}
        return [TopicPartition(topic, partition) for topic, count in counts.items() for partition in range(count)]


@asynccontextmanager
async def watching(bootstrap: str, models: Sequence[str]) -> AsyncIterator[Watch]:
    """A watch that has begun, and ends."""
    watch = Watch(bootstrap, models)
    await watch.start()
    try:
        yield watch
    finally:
        await watch.stop()
