"""The three requests of a transaction, in the versions of Kafka 4 (KIP-890, part 2), on aiokafka's protocol classes.

In these versions the broker adds a partition to the transaction when it is first written, and gives the producer a new epoch at
each end. That saves two of five requests, and a copy of an EndTxn that comes late can end nothing any more. aiokafka stops at
the versions before. Field names and order: Kafka's message definitions ProduceRequest, TxnOffsetCommitRequest, EndTxnRequest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

TEXT = CompactString("utf-8")
TAGS = ("tags", TaggedFields)
ACKS_ALL = -1
UNKNOWN = -1  # of a leader's epoch, and of a group's generation


class _ProduceResponse(Response):
    API_KEY = 0
    API_VERSION = 12
    SCHEMA = Schema(
        ("responses", CompactArray(
            ("topic", TEXT),
            ("partitions", CompactArray(
                ("partition", Int32), ("error_code", Int16), ("base_offset", Int64), ("log_append_time_ms", Int64),
                ("log_start_offset", Int64),
                ("record_errors", CompactArray(("batch_index", Int32), ("message", TEXT), TAGS)),
                ("error_message", TEXT), TAGS,
            )),
            TAGS,
        )),
        ("throttle_time_ms", Int32), TAGS,
    )  # fmt: skip


class _ProduceStruct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 0
    API_VERSION = 12
    RESPONSE_TYPE = _ProduceResponse
    SCHEMA = Schema(
        ("transactional_id", TEXT), ("acks", Int16), ("timeout_ms", Int32),
        ("topics", CompactArray(
            ("topic", TEXT), ("partitions", CompactArray(("partition", Int32), ("records", CompactBytes), TAGS)), TAGS,
        )),
        TAGS,
    )  # fmt: skip


class Produce(Request[_ProduceStruct]):
    """One batch for each of these partitions, by topic; adds them to the transaction."""

    API_KEY = 0

    def __init__(self, transactional_id: str, timeout_ms: int, batches: Mapping[str, Sequence[tuple[int, bytes]]]) -> None:
        topics: Any = [(topic, [(partition, batch, {}) for partition, batch in each], {}) for topic, each in batches.items()]
        self._values: tuple[Any, ...] = (transactional_id, ACKS_ALL, timeout_ms, topics, {})

    def build(self, request_struct_class: type[_ProduceStruct]) -> _ProduceStruct:
        """As the client library asks for it."""
        return request_struct_class(*self._values)


class _OffsetCommitResponse(Response):
    API_KEY = 28
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(
            ("topic", TEXT), ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), TAGS)), TAGS,
        )),
        TAGS,
    )  # fmt: skip


class _OffsetCommitStruct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 28
    API_VERSION = 5
    RESPONSE_TYPE = _OffsetCommitResponse
    SCHEMA = Schema(
        ("transactional_id", TEXT), ("group", TEXT), ("producer_id", Int64), ("producer_epoch", Int16),
        ("generation", Int32), ("member_id", TEXT), ("group_instance_id", TEXT),
        ("topics", CompactArray(
            ("topic", TEXT),
            ("partitions", CompactArray(
                ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", TEXT), TAGS,
            )),
            TAGS,
        )),
        TAGS,
    )  # fmt: skip


class OffsetCommit(Request[_OffsetCommitStruct]):
    """A group's offset and its metadata, as part of the transaction.

    Without generation and member: what fences a lane is its transactional id, and who rescues one is in no group.
    """

    API_KEY = 28

    def __init__(
        self, transactional_id: str, producer: tuple[int, int], group: str, at: tuple[str, int], offset: int, metadata: str
    ) -> None:
        topics: Any = [(at[0], [(at[1], offset, UNKNOWN, metadata, {})], {})]
        self._values: tuple[Any, ...] = (transactional_id, group, *producer, UNKNOWN, "", None, topics, {})

    def build(self, request_struct_class: type[_OffsetCommitStruct]) -> _OffsetCommitStruct:
        """As the client library asks for it."""
        return request_struct_class(*self._values)


class _EndResponse(Response):
    API_KEY = 26
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("producer_id", Int64), ("producer_epoch", Int16), TAGS
    )


class _EndStruct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 26
    API_VERSION = 5
    RESPONSE_TYPE = _EndResponse
    SCHEMA = Schema(
        ("transactional_id", TEXT), ("producer_id", Int64), ("producer_epoch", Int16), ("committed", Boolean), TAGS
    )


class End(Request[_EndStruct]):
    """The transaction's end; the answer holds the producer's next id and epoch."""

    API_KEY = 26

    def __init__(self, transactional_id: str, producer: tuple[int, int], committed: bool) -> None:
        self._values: tuple[Any, ...] = (transactional_id, *producer, committed, {})

    def build(self, request_struct_class: type[_EndStruct]) -> _EndStruct:
        """As the client library asks for it."""
        return request_struct_class(*self._values)
