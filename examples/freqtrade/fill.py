"""Fills the store: `python -m examples.freqtrade.fill STORE` from topic `decisions`, for ever; `... STORE RUN` from a run."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from examples.freqtrade.store import Store
from replay import shelf
from schemas.topic import DECISIONS

KAFKA = os.environ.get("TRADING_LLM_KAFKA_BOOTSTRAP", "127.0.0.1:9092")


def from_run(store: Store, folder: Path) -> int:
    """Keep what a run, or an export, decided; answers how many decisions act."""
    records = (record for book in shelf.books(folder, DECISIONS) for record in shelf.read(folder, book))
    return sum(store.write(json.loads(record.value)) for record in records)


async def from_topic(store: Store) -> None:
    """Keep every decision as it comes, for ever. No offset is committed: what is written twice is there once."""
    reading = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    async with AIOKafkaConsumer(DECISIONS, bootstrap_servers=KAFKA, **reading) as consumer:
        async for record in consumer:
            store.write(json.loads(record.value or b"{}"))


if __name__ == "__main__":
    own = Store(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        print(f"{from_run(own, Path(sys.argv[2]))} decisions act")
    else:
        asyncio.run(from_topic(own))
