"""A stretch of a partition, read again outside any group."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from backbone import clients
from backbone.errors import Transient
from backbone.settings import Settings
from schemas.record import Record

SILENCE_S_MAX = 10.0


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
        while await consumer.position(place) < end:
            read = await consumer.getmany(place, timeout_ms=int(SILENCE_S_MAX * 1000), max_records=1000)
            if not read and await consumer.position(place) < end:
                raise Transient(f"{topic}/{partition} gave nothing for {SILENCE_S_MAX:.0f} s below offset {end}")
            yield [clients.record_of(each) for each in read.get(place, ()) if each.offset < end]
    except KafkaError as error:
        raise Transient(f"{topic}/{partition} cannot be read back: {error!r}") from error
    finally:
        await clients.stop(consumer)
