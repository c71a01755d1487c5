"""What a run left in the log, read afterwards so that nothing is read beside it: how much, and between which instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from backbone import clients
from backbone.clients import TopicPartition
from backbone.settings import Settings
from tests.bench.contexts import Message

Reading = tuple[clients.AIOKafkaConsumer, list[TopicPartition]]
Ends = dict[TopicPartition, int]
LOOK_EVERY_S = 0.25
STILL_S = 1.5  # a topic that has not grown for so long is finished


@dataclass(frozen=True, slots=True)
class Written:
    """Committed records of some topics, by the log's clock: when the first and the last were appended, epoch ms."""

    count: int
    first_ms: int
    last_ms: int
    first_batch: int  # how many share the first instant

    @property
    def per_s(self) -> float:
        """Records a second, those of the first instant left out: what went before them is start-up."""
        return (self.count - self.first_batch) / max(1, self.last_ms - self.first_ms) * 1000


class Log:
    """A reader of whole topics, committed records only."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings, self._topics = settings, tuple(topics)

    async def ends(self) -> Ends:
        """Where each partition ends now."""
        async with _reading(self._settings, self._topics) as (consumer, partitions):
            found: Ends = await consumer.end_offsets(partitions)
            return found

    async def still(self, since: Ends, s_max: float, grown: Callable[[], None] = lambda: None) -> None:
        """Wait until these topics have grown, and grow no more; `grown` is told each time. AssertionError after `s_max`."""
        deadline, seen, changed_s = time.monotonic() + s_max, since, time.monotonic()
        while seen == since or time.monotonic() - changed_s < STILL_S:
            assert time.monotonic() < deadline, f"{', '.join(self._topics)}: not finished within {s_max:.0f} s"
            await asyncio.sleep(LOOK_EVERY_S)
            if (now := await self.ends()) != seen:
                seen, changed_s = now, time.monotonic()
                grown()

    async def written(self, since: Ends) -> Written:
        """What was appended after these ends."""
        times = [each.timestamp for each in await self.records(since)]
        return Written(len(times), min(times), max(times), times.count(min(times)))

    async def records(self, since: Ends) -> list[Any]:
        """All that was appended after these ends, as the client library has it."""
        out: list[Any] = []
        async with _reading(self._settings, self._topics) as (consumer, partitions):
            ends: Ends = await consumer.end_offsets(partitions)
            for partition, offset in since.items():
                consumer.seek(partition, offset)
            while any([await consumer.position(each) < end for each, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    out.extend(records)
        return out


async def fill(settings: Settings, topic: str, contexts: Sequence[Message]) -> None:
    """Write these, as fast as goes; returns when all are there."""
    producer = clients.plain_producer(settings)
    await producer.start()
    sent = [await producer.send(topic, each.value, key=each.key) for each in contexts]
    await asyncio.gather(*sent)
    await clients.stop(producer)


@asynccontextmanager
async def _reading(settings: Settings, topics: Sequence[str]) -> AsyncIterator[Reading]:
    consumer = clients.reader(settings, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, each) for topic in topics for each in sorted(await _partitions(consumer, topic))]
        consumer.assign(partitions)
        yield consumer, partitions
    finally:
        await clients.stop(consumer)


async def _partitions(consumer: clients.AIOKafkaConsumer, topic: str) -> set[int]:
    consumer._client.add_topic(topic)
    await consumer._client.force_metadata_update()
    found: set[int] = consumer.partitions_for_topic(topic)
    return found
