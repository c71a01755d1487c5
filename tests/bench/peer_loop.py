"""The bare loop beside the router: read 200 records of a partition, write each elsewhere, move the offset, in one transaction.

It looks at nothing: the number of the record alone says where it goes. One producer a partition, as the router has.
`python -m tests.bench.peer_loop BOOTSTRAP SPANS`: the first offset and the end of each partition of `contexts`, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer import sender

from backbone.producer import BATCH_BYTES_MAX
from schemas.topic import CONTEXTS, model_topic
from tests.support.kafka import MODELS

Read = Any  # aiokafka has no types
GROUP = "bench.loop"
RECORDS_A_TRANSACTION = 200
TARGETS = tuple(model_topic(model) for model in MODELS)
sender.BACKOFF_OVERRIDE = 0.002  # the library's 20 ms between two transactions make 43 a second


async def loop(bootstrap: str, spans: dict[str, tuple[int, int]]) -> None:
    """Handle the records of these spans, then end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False, group_id=None,
        max_partition_fetch_bytes=1 << 20, fetch_max_wait_ms=50,
    )  # fmt: skip
    await consumer.start()
    lanes = {TopicPartition(CONTEXTS, int(partition)): span for partition, span in spans.items()}
    consumer.assign(list(lanes))
    for partition, (first, _) in lanes.items():
        consumer.seek(partition, first)
    await asyncio.gather(*(_lane(bootstrap, consumer, partition, end) for partition, (_, end) in lanes.items()))
    await consumer.stop()


async def _lane(bootstrap: str, consumer: AIOKafkaConsumer, partition: TopicPartition, end: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=f"{GROUP}.{partition.partition}", retry_backoff_ms=5,
        max_batch_size=BATCH_BYTES_MAX,
    )  # fmt: skip
    await producer.start()
    at = await consumer.position(partition)
    while at < end:
        read = await consumer.getmany(partition, max_records=RECORDS_A_TRANSACTION, timeout_ms=1000)
        if records := read.get(partition):
            at = records[-1].offset + 1
            await _transact(producer, partition, records, at)
    await producer.stop()


async def _transact(producer: AIOKafkaProducer, partition: TopicPartition, records: Sequence[Read], at: int) -> None:
    await producer.begin_transaction()
    sent = [await producer.send(TARGETS[each.offset % len(TARGETS)], each.value, key=each.key) for each in records]
    await asyncio.gather(*sent)
    await producer.send_offsets_to_transaction({partition: at}, GROUP)
    await producer.commit_transaction()


if __name__ == "__main__":
    uvloop.run(loop(sys.argv[1], json.loads(sys.argv[2])))
