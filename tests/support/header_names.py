"""Records with a header whose name is no UTF-8, which this client library cannot write by itself; others can."""

from __future__ import annotations

from typing import Any

from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from backbone.clients import AIOKafkaProducer
from schemas.source import Source
from schemas.topic import CONTEXTS


class _Name(str):
    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


BROKEN = _Name("broken")


def batch_builder(codec: int = 0) -> Any:
    """An empty batch that takes such names."""
    return _DefaultRecordBatchBuilderPy(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=99_999
    )


async def send(producer: AIOKafkaProducer, partition: int, key: bytes, value: bytes) -> Source:
    """Write one such record to `contexts`."""
    batch = producer.create_batch()
    batch._builder = batch_builder()
    batch.append(timestamp=None, key=key, value=value, headers=[(BROKEN, b"1")])
    at = await (await producer.send_batch(batch, CONTEXTS, partition=partition))
    return Source(at.topic, at.partition, at.offset)
