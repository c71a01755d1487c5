"""The two requests that aiokafka lacks, built on its own protocol classes: a stable look at a group's offset, and leaving.

aiokafka's OffsetFetch stops at version 3, which answers the old offset while a transaction that moves it is pending.
Version 7 with `require_stable` refuses instead, so that whoever claims a lane waits for that transaction's end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from backbone.errors import Transient

UNSTABLE_OFFSET_COMMIT = 88
NO_OFFSET = -1
LOOKS_MAX = 400  # x 25 ms = 10 s: twice the time after which the broker ends an open transaction itself
LOOK_PAUSE_S = 0.025


class _OffsetFetchResponse(Response):
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(
            ("topic", CompactString("utf-8")),
            ("partitions", CompactArray(
                ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32),
                ("metadata", CompactString("utf-8")), ("error_code", Int16), ("tags", TaggedFields),
            )),
            ("tags", TaggedFields),
        )),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )  # fmt: skip


class _OffsetFetchRequest(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = _OffsetFetchResponse
    SCHEMA = Schema(
        ("group", CompactString("utf-8")),
        ("topics", CompactArray(
            ("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields),
        )),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )  # fmt: skip


class _OffsetFetch(Request[_OffsetFetchRequest]):
    API_KEY = 9

    def __init__(self, group: str, topic: str, partition: int) -> None:
        self._values: tuple[Any, ...] = (group, [(topic, [partition], {})], True, {})

    def build(self, request_struct_class: type[_OffsetFetchRequest]) -> _OffsetFetchRequest:
        return request_struct_class(*self._values)


async def committed(client: AIOKafkaClient, group: str, topic: str, partition: int) -> tuple[int, str]:
    """The group's offset and metadata with nothing pending on them; (-1, "") where none was ever committed.

    Waits while a transaction that would move it is open, or the coordinator is not up, at most 10 s; then, as on any
    refusal, raises Transient.
    """
    error: KafkaError | None = None
    for _ in range(LOOKS_MAX):
        try:
            return await _look(client, group, topic, partition)
        except KafkaError as refusal:
            if not refusal.retriable:
                raise Transient(f"offset of {group} on {topic}/{partition}: {refusal!r}") from refusal
            error = refusal
        await asyncio.sleep(LOOK_PAUSE_S)
    raise Transient(f"offset of {group} on {topic}/{partition} stayed unknown: {error!r}")


class _Unstable(KafkaError):
    """A transaction that would move the offset is open."""

    retriable = True


async def _look(client: AIOKafkaClient, group: str, topic: str, partition: int) -> tuple[int, str]:
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    request = _OffsetFetch(group, topic, partition)
    response: Any = await client.send(node, request, group=ConnectionGroup.COORDINATION)
    if response.error_code:
        raise for_code(response.error_code)(group)
    _, offset, _, metadata, error, _ = response.topics[0][1][0]
    if error:
        raise _Unstable(group) if error == UNSTABLE_OFFSET_COMMIT else for_code(error)(group)
    return offset, metadata or ""


async def leave_group(client: AIOKafkaClient, group: str, member_id: str) -> None:
    """Leave at once; aiokafka does not send this for a static member, whose partitions then idle until its session ends.

    Raises KafkaError; the group then finds out by the session's end.
    """
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    response: Any = await client.send(node, LeaveGroupRequest(group, member_id), group=ConnectionGroup.COORDINATION)
    if response.error_code:
        raise KafkaError(f"leaving {group}: {for_code(response.error_code).__name__}")


async def member_ids(client: AIOKafkaClient, group: str) -> list[str]:
    """The ids of a group's members. Raises KafkaError."""
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    answer: Any = await client.send(node, DescribeGroupsRequest([group]), group=ConnectionGroup.COORDINATION)
    error, _, _, _, _, members, *_ = answer.groups[0]
    if error:
        raise for_code(error)(group)
    return [member_id for member_id, *_ in members]


__all__ = ["NO_OFFSET", "committed", "leave_group", "member_ids"]
