"""A hop by plain FastStream, at least once: `batch`, or `one` record after the other.

`python -m tests.bench.peer_faststream BOOTSTRAP INPUT OUTPUT GROUP batch|one`
"""

import sys
from typing import Any

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

# Its default of 16 KiB raises at the fourth record of 5 KB in a batch, and redelivers for ever.
BATCH_BYTES_MAX = 1 << 20


async def _bytes(message: Any) -> Any:
    """The values as they are: FastStream would parse JSON here, and write it anew."""
    raw = message.raw_message
    return [each.value for each in raw] if isinstance(raw, tuple) else raw.value


def application(bootstrap: str, source: str, target: str, group: str, way: str) -> FastStream:
    """The application of one hop."""
    broker = KafkaBroker(bootstrap, max_batch_size=BATCH_BYTES_MAX, allow_auto_create_topics=False, decoder=_bytes, logger=None)
    reading: dict[str, Any] = {"group_id": group, "auto_offset_reset": "latest", "ack_policy": AckPolicy.NACK_ON_ERROR}

    async def hop_batch(values: list[bytes]) -> None:
        await broker.publish_batch(*values, topic=target)

    async def hop_one(value: bytes, message: KafkaMessage) -> None:
        raw: Any = message.raw_message
        await broker.publish(value, topic=target, key=raw.key)

    broker.subscriber(source, batch=way == "batch", **reading)(hop_batch if way == "batch" else hop_one)
    return FastStream(broker)


if __name__ == "__main__":
    uvloop.run(application(*sys.argv[1:6]).run())
