"""A stretch of a partition, read again outside any group."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from backbone import clients
from backbone.errors import Transient
from backbone.settings import Settings
from schemas.record import Record

SILENCE_S_MAX = 10.0
# What is left may hold no record that is delivered (markers, aborted ones): then only the position tells that it was passed.
LOOK_S = 0.05


async def read_back(settings: Settings, topic: str, partition: int, first: int, end: int) -> AsyncIterator[list[Record]]:
    """The committed records from offset `first` to before `end`, in chunks; what retention deleted is left out.

    Raises Transient when the broker gives nothing for 10 s.
    """
    place = TopicPartition(topic, partition)
    consumer = clients.reader(settings, max_partition_fetch_bytes=1 << 20)
    consumer.assign([place])
    try:
        await consumer.start()
        start = (await consumer.beginning_offsets([place]))[place]
        consumer.seek(place, max(first, start))
        heard_s = time.monotonic()
        while (at := await consumer.position(place)) < end:
            read = await consumer.getmany(place, timeout_ms=int(LOOK_S * 1000), max_records=1000)
            if await consumer.position(place) > at:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > SILENCE_S_MAX:
                raise Transient(f"{topic}/{partition} gave nothing for {SILENCE_S_MAX:.0f} s below offset {end}")
            yield [clients.record_of(each) for each in read.get(place, ()) if each.offset < end]
    except KafkaError as error:
        raise Transient(f"{topic}/{partition} cannot be read back: {error!r}") from error
    finally:
        await clients.stop(consumer)
