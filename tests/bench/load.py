"""Offers contexts, at a steady rate or so many at once, and times each until its answer has been read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from backbone import clients
from backbone.clients import TopicPartition
from backbone.settings import Settings
from tests.bench.contexts import Message, messages, number_in

WARM_UP_S_MAX = 40.0
REST_S_MAX = 5.0  # how long answers are waited for after the last context was sent
WARM_UP_RATE = 200


@dataclass(frozen=True, slots=True)
class Offered:
    """What came of one offer: a latency, in ms, for each context that was answered in time."""

    sent: int
    latencies_ms: tuple[float, ...]
    seconds: float

    @property
    def answered(self) -> float:
        """The share of the contexts that were answered."""
        return len(self.latencies_ms) / self.sent


class Line:
    """A way in and a way out: contexts are sent to one topic, their answers read, committed only, from others."""

    def __init__(self, settings: Settings, way_in: str, *ways_out: str) -> None:
        self._in, self._out = way_in, ways_out
        self._producer = clients.plain_producer(settings)
        self._consumer = clients.reader(settings, auto_offset_reset="latest", fetch_max_wait_ms=500)
        self._sent_s: dict[int, float] = {}
        self._took_ms: dict[int, float] = {}
        self._came = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Line:
        await self._producer.start()
        await self._consumer.start()
        partitions = [TopicPartition(out, each) for out in self._out for each in sorted(await self._partitions(out))]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await clients.stop(self._consumer)
        await clients.stop(self._producer)

    async def warm_up(self, first: int, count: int) -> int:
        """Send until answers come, then so many more; answers the next free number. AssertionError where none comes."""
        until_s = time.monotonic() + WARM_UP_S_MAX
        number = first
        while not self._took_ms:
            assert time.monotonic() < until_s, f"nothing came back from {', '.join(self._out)} within {WARM_UP_S_MAX:.0f} s"
            await self._send(next(messages(number, 1)))
            number += 1
            await asyncio.sleep(0.2)
        await self.offer(list(messages(number, count)), WARM_UP_RATE)
        return number + count

    async def offer(self, contexts: Sequence[Message], rate: float) -> Offered:
        """Send these at so many a second, and wait for their answers. A context's time begins when it is handed to send()."""
        began_s = time.perf_counter()
        for place, each in enumerate(contexts):
            if (wait_s := began_s + place / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            await self._send(each)
        await self._rest(contexts)
        took = tuple(self._took_ms[each.number] for each in contexts if each.number in self._took_ms)
        return Offered(len(contexts), took, time.perf_counter() - began_s)

    async def offer_closed(self, contexts: Sequence[Message], in_flight: int) -> Offered:
        """Send these so many at once, the next one when one is answered."""
        began_s, left = time.perf_counter(), iter(contexts)

        async def ask() -> None:
            for each in left:
                await self._send(each)
                async with asyncio.timeout(REST_S_MAX):
                    while each.number not in self._took_ms:
                        self._came.clear()
                        await self._came.wait()

        await asyncio.gather(*(ask() for _ in range(in_flight)))
        took = tuple(self._took_ms[each.number] for each in contexts)
        return Offered(len(contexts), took, time.perf_counter() - began_s)

    async def _rest(self, contexts: Sequence[Message]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REST_S_MAX):
                while any(each.number not in self._took_ms for each in contexts):
                    self._came.clear()
                    await self._came.wait()

    async def _send(self, message: Message) -> None:
        self._sent_s[message.number] = time.perf_counter()
        await self._producer.send(self._in, message.value, key=message.key)

    async def _read(self) -> None:
        while True:
            read = await self._consumer.getmany(timeout_ms=1000)
            now_s = time.perf_counter()
            for each in (each for records in read.values() for each in records):
                number = number_in(each.value)
                if number is not None and number in self._sent_s:
                    self._took_ms.setdefault(number, (now_s - self._sent_s[number]) * 1000)
            self._came.set()

    async def _partitions(self, out: str) -> set[int]:
        found: set[int] = await self._producer.partitions_for(out)
        return found
