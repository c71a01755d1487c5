"""Contexts written by a bot that uses transactions: each is followed by a marker, an offset that is never delivered."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.producer import sender

from backbone import clients
from backbone.settings import Settings
from schemas.source import Source
from schemas.topic import CONTEXTS

sender.BACKOFF_OVERRIDE = 0.002  # the library's 20 ms between two transactions make 43 a second


async def write_each(bootstrap: str, writer: str, records: Iterable[tuple[bytes, bytes]], partition: int) -> list[Source]:
    """Write each key and value into this partition of `contexts`, in a transaction of its own; answers where they lie."""
    settings = Settings(kafka_bootstrap=bootstrap)
    producer = clients.AIOKafkaProducer(**clients.connection(settings), transactional_id=f"test.{writer}")
    await producer.start()
    sources = []
    try:
        for key, value in records:
            async with producer.transaction():
                at = await producer.send_and_wait(CONTEXTS, value=value, key=key, partition=partition)
            sources.append(Source(CONTEXTS, partition, at.offset))
    finally:
        await clients.stop(producer)
    return sources
