"""What a cluster's brokers have agreed on beyond the versions of their requests, and the one thing that lanes need of it.

A broker that knows the requests of Kafka 4 answers them also where the cluster was left at an older `transaction.version`; an
end of a transaction then gives the producer no new epoch, and a late copy of it could end the next one. aiokafka asks for
the versions of requests only. Field names and order: Kafka's message definition ApiVersions, version 3.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, NodeNotReadyError
from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from backbone.errors import Fatal

TRANSACTIONS, NEEDED = "transaction.version", 2
REMEDY = f"Kafka 4.0 or later, and there `kafka-features upgrade --feature {TRANSACTIONS}={NEEDED}`"
FINALIZED = 2  # the tag under which the answer holds them
TEXT = CompactString("utf-8")
TAGS = ("tags", TaggedFields)
LEVELS = CompactArray(("name", TEXT), ("level_max", Int16), ("level_min", Int16), TAGS)


class _Response(Response):
    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("api_keys", CompactArray(("api_key", Int16), ("version_min", Int16), ("version_max", Int16), TAGS)),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 18
    API_VERSION = 3
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(("client_software_name", TEXT), ("client_software_version", TEXT), TAGS)

    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        """The old one, in every version: who asks does not know yet which the broker speaks."""
        return ResponseHeader_v0.decode(read_buffer)


class _Ask(Request[_Struct]):
    API_KEY = 18

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class("trading-llm", "0", {})


async def check_transactions(client: AIOKafkaClient) -> None:
    """Fatal, with the remedy, unless the cluster's transactions are those that the lane's producer is written for."""
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("the broker knows no broker yet, itself included")
    try:
        answer: Any = await client.send(node, _Ask())
    except (NotImplementedError, IncompatibleBrokerVersion) as error:
        raise Fatal(f"the broker is too old: {REMEDY}") from error
    finalized = LEVELS.decode(BytesIO(answer.tags.get(FINALIZED, b"\x01")))  # b"\x01": none
    level = {name: level_max for name, level_max, *_ in finalized}.get(TRANSACTIONS, 0)
    if level < NEEDED:
        raise Fatal(f"the cluster's {TRANSACTIONS} is {level}, and lanes need {NEEDED}: {REMEDY}")


__all__ = ["check_transactions"]
