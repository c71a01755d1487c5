"""Many partitions read at once, outside any group: what is committed in them, and where their logs start and end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from backbone import clients
from backbone.errors import Transient
from backbone.history import SILENCE_S_MAX
from backbone.settings import Settings
from backbone.topics import Planned
from schemas.record import Record

Place = tuple[str, int]  # topic, partition
POLL_MS = 100
RECORDS_MAX = 1_000  # a poll


class Scan:
    """A reader of all partitions of these topics, from where their logs start."""

    def __init__(self, settings: Settings, planned: Sequence[Planned]) -> None:
        self._places = [TopicPartition(each.name, p) for each in planned for p in range(each.partitions)]
        self._consumer = clients.reader(settings, auto_offset_reset="earliest")
        self._raw = clients.reader(settings, isolation_level="read_uncommitted")

    async def start(self) -> None:
        """Take the place to read from. Raises KafkaError."""
        await self._consumer.start()
        await self._raw.start()
        self._consumer.assign(self._places)

    async def stop(self) -> None:
        """Leave."""
        await clients.stop(self._consumer)
        await clients.stop(self._raw)

    async def starts(self) -> dict[Place, int]:
        """Where each log starts now."""
        return _by_place(await self._raw.beginning_offsets(self._places))

    async def ends(self) -> dict[Place, int]:
        """Where each log ends now (the high watermark), whatever is still open in it."""
        return _by_place(await self._raw.end_offsets(self._places))

    async def stable_ends(self) -> dict[Place, int]:
        """How far a reader of committed records gets now: the last stable offset."""
        return _by_place(await self._consumer.end_offsets(self._places))

    async def read(self) -> list[Record]:
        """What comes next within 100 ms, of each partition in its order; at most 1,000."""
        read = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
        return [clients.record_of(each) for records in read.values() for each in records]

    async def behind(self, ends: Mapping[Place, int]) -> list[Place]:
        """The partitions that are not yet read up to here."""
        left = [place for place in self._places if place in ends]
        return [(each.topic, each.partition) for each in left if await self._consumer.position(each) < ends[each]]

    async def read_to(self, ends: Mapping[Place, int]) -> AsyncIterator[list[Record]]:
        """Everything up to here and perhaps a little more, in chunks. Raises Transient where nothing comes for 10 s."""
        moved_s, left = time.monotonic(), await self.behind(ends)
        while left:
            if records := await self.read():
                yield records
            before, left = left, await self.behind(ends)
            if records or left != before:
                moved_s = time.monotonic()
            if left and time.monotonic() - moved_s > SILENCE_S_MAX:
                raise Transient(f"{left[0][0]}/{left[0][1]} gave nothing for {SILENCE_S_MAX:.0f} s below offset {ends[left[0]]}")


@asynccontextmanager
async def scanning(settings: Settings, planned: Sequence[Planned]) -> AsyncIterator[Scan]:
    """A scan that has begun, and ends. Raises Transient where Kafka is away, at the start or on the way."""
    scan = Scan(settings, planned)
    try:
        await scan.start()
        yield scan
    except KafkaError as error:
        raise Transient(f"broker at {settings.kafka_bootstrap}: {error!r}") from error
    finally:
        await scan.stop()


def _by_place(found: Mapping[TopicPartition, int]) -> dict[Place, int]:
    return {(place.topic, place.partition): offset for place, offset in found.items()}
