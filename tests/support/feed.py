"""Contexts for tests, and their way onto the topic."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from backbone import clients
from backbone.settings import Settings
from schemas.headers import ORIGIN, RUN_ID
from schemas.origin import Origin
from schemas.source import Source
from schemas.topic import CONTEXTS, Side

Body = dict[str, Any]
FED_MAX = 1_000_000  # by one feed
ACKNOWLEDGED_S_MAX = 30.0
LONG_AGO_MS = 1_600_000_000_000  # 2020-09-13


def bodies(count: int, keys: int, seed: int, models: Sequence[str] = (), label: str = "c", **fields: Any) -> list[Body]:
    """So many contexts over so many keys, all different; `models`: which are preferred, in turn by chance.

    Each has a weight of its own in `experiment`, which its decision must carry.
    """
    return list(_bodies(count, keys, seed, models, label, fields))


def _bodies(count: int, keys: int, seed: int, models: Sequence[str], label: str, fields: Body) -> Iterator[Body]:
    drawn = random.Random(seed)
    for number in range(count):
        key = drawn.randrange(keys)
        context = {"price": round(drawn.uniform(10, 60_000), 2), "volume": drawn.randrange(1, 10**6)}
        preference = {"model_preference": drawn.choice(models)} if models else {}
        yield {
            "context": context, "bot_id": f"bot{key % 17}", "symbol": f"S{key}USD", "context_id": f"{label}-{number}",
            "experiment": f"w{drawn.randrange(10**9)}-{number}", **preference, **fields,
        }  # fmt: skip


def value_of(body: Body) -> bytes:
    """A body as a bot writes it."""
    return json.dumps(body).encode()


def key_of(body: Body) -> bytes:
    """The key that the contract gives it."""
    return f"{body['bot_id']}:{body['symbol']}".encode()


async def replay(bootstrap: str, contexts: Iterable[Body], run_id: str, first_ms: int = LONG_AGO_MS) -> list[Source]:
    """Write these contexts as replays of one run, each with an origin of its own, a second apart; answers where they lie."""
    producer = clients.plain_producer(Settings(kafka_bootstrap=bootstrap))
    await producer.start()
    try:
        sent = []
        for number, body in enumerate(contexts):
            origin = Origin(Source(CONTEXTS, 0, number), first_ms + 1_000 * number)
            headers = [(RUN_ID, run_id.encode()), (ORIGIN, str(origin).encode())]
            topic = Side.REPLAYS.contexts
            sent.append(await producer.send(topic, key=key_of(body), value=value_of(body), headers=headers))
        return [Source(each.topic, each.partition, each.offset) for each in [await one for one in sent]]
    finally:
        await clients.stop(producer)


async def send(bootstrap: str, contexts: Iterable[Body], producer: clients.AIOKafkaProducer | None = None) -> list[Source]:
    """Write these contexts under their keys; answers where each lies, once all are acknowledged."""
    own = producer or clients.plain_producer(Settings(kafka_bootstrap=bootstrap))
    if producer is None:
        await own.start()
    try:
        sent = [await own.send(CONTEXTS, key=key_of(body), value=value_of(body)) for body in contexts]
        return [Source(each.topic, each.partition, each.offset) for each in [await one for one in sent]]
    finally:
        if producer is None:
            await clients.stop(own)


class Feeding:
    """Contexts sent at a steady rate until `stop`: which were acknowledged, and of how many nobody knows."""

    def __init__(self, bootstrap: str, per_s: float, keys: int, seed: int, label: str, **fields: Any) -> None:
        self._settings = Settings(kafka_bootstrap=bootstrap, request_timeout_s=ACKNOWLEDGED_S_MAX)
        self._per_s, self._bodies = per_s, _bodies(FED_MAX, keys, seed, (), label, fields)
        self.acknowledged: list[Source] = []
        self.unknown = 0
        self._under_way: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Send, from now on."""
        self._producer = clients.plain_producer(self._settings)
        await self._producer.start()
        self._task = asyncio.create_task(self._send())

    async def stop(self) -> list[Source]:
        """Send no more; answers where everything lies that was acknowledged, once nothing is under way."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=ACKNOWLEDGED_S_MAX)
        self.unknown += len(self._under_way)
        await clients.stop(self._producer)
        return self.acknowledged

    async def _send(self) -> None:
        began_s = time.monotonic()
        for sent, body in enumerate(self._bodies, start=1):
            future = await self._producer.send(CONTEXTS, key=key_of(body), value=value_of(body))
            self._under_way.add(future)
            future.add_done_callback(self._answered)
            if (ahead_s := sent / self._per_s - (time.monotonic() - began_s)) > 0:
                await asyncio.sleep(ahead_s)
        raise AssertionError(f"{FED_MAX} contexts were not enough")

    def _answered(self, future: asyncio.Future[Any]) -> None:
        self._under_way.discard(future)
        if future.cancelled() or future.exception() is not None:
            self.unknown += 1
        else:
            at = future.result()
            self.acknowledged.append(Source(at.topic, at.partition, at.offset))


@asynccontextmanager
async def feeding(bootstrap: str, per_s: float, keys: int = 40, seed: int = 1, **fields: Any) -> AsyncIterator[Feeding]:
    """Such a feed, for as long as the block lasts."""
    made = Feeding(bootstrap, per_s, keys, seed, **fields)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
