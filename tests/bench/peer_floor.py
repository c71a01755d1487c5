"""The floor of a hop: read, write the same record elsewhere, commit now and then. No transaction, no promise, no check.

`python -m tests.bench.peer_floor BOOTSTRAP INPUT OUTPUT GROUP`
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def hop(bootstrap: str, source: str, target: str, group: str) -> None:
    """Copy records until SIGTERM."""
    consumer = AIOKafkaConsumer(source, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="latest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    await consumer.start()
    copying = asyncio.create_task(_copy(consumer, producer, target))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, copying.cancel)
    await asyncio.wait([copying])
    await consumer.stop()
    await producer.stop()


async def _copy(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, target: str) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for each in records:
                await producer.send(target, each.value, key=each.key)


if __name__ == "__main__":
    uvloop.run(hop(*sys.argv[1:5]))
