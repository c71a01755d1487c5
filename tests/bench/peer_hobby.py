"""The hobby design: a consumer that asks `vllm serve` over HTTP, several at once, and writes the answers; at least once.

`python -m tests.bench.peer_hobby BOOTSTRAP INPUT OUTPUT GROUP SERVER_PORT AT_ONCE`. What it reads are requests, rendered
beforehand; an answer's header `tokens` is what its prompt and it have, as JSON. It says JOINED GROUP once it reads.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence

import aiohttp
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.ports import HOST
from tests.bench.peer_chat import Chat

JOINED = "joined"
ANSWER_S_MAX = 60.0
LOOK_EVERY_MS = 1_000
JSON = {"Content-Type": "application/json"}


class Hop:
    """Answers what it reads; offsets are committed by the clock, as the library does it."""

    def __init__(self, bootstrap: str, source: str, target: str, group: str, port: str, at_once: str) -> None:
        self._url, self._target = f"http://{HOST}:{port}/v1/chat/completions", target
        self._consumer = AIOKafkaConsumer(source, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="latest")
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        self._group, self._at_once = group, int(at_once)
        self._places = asyncio.Semaphore(self._at_once)

    async def run(self) -> None:
        """Until SIGTERM."""
        await self._producer.start()
        await self._consumer.start()  # which waits for its partitions, and not for where they end
        for each in self._consumer.assignment():
            await self._consumer.position(each)
        print(JOINED, self._group, flush=True)
        limit = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        async with aiohttp.ClientSession(timeout=limit) as session, asyncio.TaskGroup() as asked:
            reading = asked.create_task(self._read(session, asked))
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reading.cancel)
        await self._consumer.stop()
        await self._producer.stop()

    async def _read(self, session: aiohttp.ClientSession, asked: asyncio.TaskGroup) -> None:
        while True:
            read = await self._consumer.getmany(timeout_ms=LOOK_EVERY_MS, max_records=self._at_once)
            for each in (each for records in read.values() for each in records):
                await self._places.acquire()
                asked.create_task(self._ask(session, each.key, each.value))

    async def _ask(self, session: aiohttp.ClientSession, key: bytes, value: bytes) -> None:
        try:
            async with session.post(self._url, data=value, headers=JSON) as response:
                response.raise_for_status()
                said = Chat.read(await response.read())
            headers = [("tokens", json.dumps(said.tokens).encode())]
            await self._producer.send(self._target, said.text.encode(), key=key, headers=headers)
        finally:
            self._places.release()


async def main(arguments: Sequence[str]) -> None:
    """Run the hop; the library wants a loop before it makes a client."""
    bootstrap, source, target, group, port, at_once = arguments
    await Hop(bootstrap, source, target, group, port, at_once).run()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
