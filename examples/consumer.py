"""A small bot on plain Kafka: ask once, then act on what is decided, once.

aiokafka partitions by murmur2, as every producer of `contexts` must; with librdkafka set `partitioner=murmur2_random`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

KAFKA = os.environ.get("TRADING_LLM_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
QUESTION = {"bot_id": "momentum_bot", "symbol": "BTCUSDT", "context": {"price": 45000, "volume": 1000000}}


async def bot(act: Callable[[dict[str, Any]], None], group: str = "momentum_bot", answers: int = 1) -> None:
    """Ask one question, and hand every decision that may be acted on to `act`, until so many decisions were read."""
    async with AIOKafkaProducer(bootstrap_servers=KAFKA, acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait("contexts", json.dumps(QUESTION).encode(), key=b"momentum_bot:BTCUSDT")
    acted: set[str] = set()  # keep it where your orders are kept: what you do is yours to make idempotent
    reading = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    async with AIOKafkaConsumer("decisions", bootstrap_servers=KAFKA, group_id=group, **reading) as consumer:
        async for record in consumer:
            decision = json.loads(record.value or b"")
            in_time = decision["valid_until"] and datetime.now(UTC) < datetime.fromisoformat(decision["valid_until"])
            if decision["status"] == "DECIDED" and in_time and decision["decision_id"] not in acted:
                acted.add(decision["decision_id"])
                act(decision)
            await consumer.commit()
            if (answers := answers - 1) == 0:
                return


if __name__ == "__main__":
    asyncio.run(bot(lambda decision: print(decision["symbol"], decision["action"], decision["size_pct"])))
