"""How far models and routers are behind, looked at from outside: what has no outcome yet, and who is there to give it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from backbone import clients
from backbone.errors import Transient
from backbone.progress import Mark
from backbone.protocol import NO_OFFSET, committed, member_ids
from backbone.settings import Settings
from backbone.topics import Planned

LOOK_S_MAX = 5.0
FIRST_BYTES_MAX = 64 << 10  # of a partition only its oldest open record is looked at


@dataclass(frozen=True, slots=True)
class Lag:
    """One topic. `open_offsets` are those without an outcome: records, and transaction markers, one for each transaction that
    wrote there. So it is at most so many records; an idle lane commits past the markers within seconds.

    `oldest_s` is the age of the oldest record without an outcome, None where there is none; `members` read the topic.
    """

    name: str
    open_offsets: int
    oldest_s: float | None
    members: int = 0


class LagReader:
    """Clients that look at these topics again and again; outside any group, changing nothing."""

    def __init__(self, settings: Settings, planned: Sequence[Planned]) -> None:
        self._settings, self._planned = settings, [each for each in planned if each.group]
        more = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": FIRST_BYTES_MAX}
        self._consumer = clients.reader(settings, **more)
        self._groups: clients.AIOKafkaClient | None = None

    async def start(self) -> None:
        """Connect. Raises Transient where the broker is away."""
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                await self._consumer.start()
                self._groups = await clients.bare_client(self._settings)
        except (KafkaError, TimeoutError, OSError) as error:
            raise Transient(f"broker at {self._settings.kafka_bootstrap}: {error!r}") from error

    async def stop(self) -> None:
        """Disconnect."""
        await clients.stop(self._consumer)
        if self._groups is not None:
            await self._groups.close()

    async def look(self, now_ms: int) -> list[Lag]:
        """Every topic, within 5 s. Raises Transient where an answer does not come."""
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                return [await self._lag(each, now_ms) for each in self._planned]
        except (KafkaError, TimeoutError, OSError) as error:
            raise Transient(f"broker at {self._settings.kafka_bootstrap}: {error!r}") from error

    async def _lag(self, planned: Planned, now_ms: int) -> Lag:
        places = [clients.TopicPartition(planned.name, p) for p in range(planned.partitions)]
        ends = await self._consumer.end_offsets(places)
        behind: dict[clients.TopicPartition, int] = {}
        total = 0
        for place in places:
            mark = await self._mark(str(planned.group), place)
            open_offsets = ends[place] - mark.offset - sum(offset < ends[place] for offset in mark.ahead)
            if open_offsets > 0:
                behind[place] = mark.offset
                total += open_offsets
        return Lag(planned.name, total, await self._oldest_s(behind, now_ms), await self._members(str(planned.group)))

    async def _mark(self, group: str, place: clients.TopicPartition) -> Mark:
        offset, metadata = await committed(self._groups, group, place.topic, place.partition)
        try:
            return Mark(0) if offset == NO_OFFSET else Mark.parse(offset, metadata)
        except ValueError as error:
            raise Transient(f"{group} on {place.topic}/{place.partition}: {error}: somebody else commits there") from error

    async def _oldest_s(self, behind: dict[clients.TopicPartition, int], now_ms: int) -> float | None:
        """The age of the oldest first unfinished record; None where what is behind holds no record, only markers."""
        if not behind:
            return None
        self._consumer.assign(list(behind))
        for place, offset in behind.items():
            self._consumer.seek(place, offset)
        ages = [await self._age_s(place, now_ms) for place in behind]
        self._consumer.unsubscribe()
        return max((age for age in ages if age is not None), default=None)

    async def _age_s(self, place: clients.TopicPartition, now_ms: int) -> float | None:
        read = await self._consumer.getmany(place, timeout_ms=100, max_records=1)
        return next(((max(0, now_ms - record.timestamp) / 1000) for record in read.get(place, ())), None)

    async def _members(self, group: str) -> int:
        assert self._groups is not None, "not started"
        return len(await member_ids(self._groups, group))
