"""Reads topics from now on, from their beginning or from places, and hands every committed record to one function."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from backbone import clients, telemetry
from backbone.errors import Fatal
from backbone.settings import Settings
from backbone.topics import plan
from schemas.record import Record

RECORDS_MAX = 500  # a fetch; between two, others have their turn
POLL_MS = 200
RETRY_S = 0.5
FRESH_S = 5.0  # a broker that was silent for so long is away


class Tail:
    """A reader outside any group. FastStream's subscribers start wherever the first look-up lands, and cannot read a header
    that is no UTF-8, which any bot may send: a tail starts exactly at the ends that it saw, and takes every byte.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        handle: Callable[[Record], None],
        from_start: bool = False,
        since: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        self._settings, self._handle, self._from_start, self._since = settings, handle, from_start, since
        counts = {planned.name: planned.partitions for planned in plan(settings.catalogue_names)}
        self._places = [clients.TopicPartition(topic, p) for topic in topics for p in range(counts[topic])]
        # A tail that lost its place because the log's start moved past it goes on there: it decides nothing.
        self._consumer = clients.reader(settings, auto_offset_reset="earliest")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the place to read from; returns when nothing written from now on can be missed. Raises Fatal."""
        self._consumer.assign(self._places)
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._consumer.start()
                await self._seek()
        except (clients.KafkaError, TimeoutError) as error:
            await clients.stop(self._consumer)
            raise Fatal(f"broker at {self._settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error
        self._task = asyncio.create_task(self._follow())

    async def _seek(self) -> None:
        find = self._consumer.beginning_offsets if self._from_start else self._consumer.end_offsets
        for place, offset in (await find(self._places)).items():
            self._consumer.seek(place, (self._since or {}).get((place.topic, place.partition), offset))

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await clients.stop(self._consumer)

    async def ended(self) -> None:
        """Returns, or raises why, once it reads no more: a process that hears nothing must not go on."""
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    @property
    def fresh(self) -> bool:
        """Whether the broker answered within the last 5 s."""
        polled = (self._consumer.last_poll_timestamp(place) for place in self._places)
        newest_ms = max((at_ms for at_ms in polled if at_ms is not None), default=0)
        return self._task is not None and not self._task.done() and time.time() * 1000 - newest_ms < FRESH_S * 1000

    async def _follow(self) -> None:
        while True:
            try:
                read = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
            except clients.KafkaError as error:  # `fresh` tells whoever must know
                telemetry.event("tail.unread", error=repr(error))
                await asyncio.sleep(RETRY_S)
                continue
            for records in read.values():
                for record in records:
                    self._handle(clients.record_of(record))
