"""Kafka clients, made one way: one set of settings, one security, one isolation."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import aiokafka
from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from backbone import closed_connection, decoding, telemetry
from backbone.errors import Fatal
from backbone.settings import Settings
from schemas.record import Record
from schemas.size import HEADERS_BYTES_MAX, VALUE_BYTES_MAX
from schemas.source import Source

# Whatever reaches behind this library's public names must be read again for another version: grep for `\._` in this room.
if aiokafka.__version__ != "0.14.0":
    raise ImportError(f"the backbone knows aiokafka 0.14.0, not {aiokafka.__version__}")
decoding.install()
closed_connection.install()

# A record of a full value, full headers and a key of 4 KiB, with room for the batch around it.
REQUEST_BYTES_MAX = VALUE_BYTES_MAX + HEADERS_BYTES_MAX + (64 << 10)
BROKER_LOOK_S = 0.2  # a stack of processes that look more often slows the start of what they wait for
# How long the broker holds a fetch that finds nothing; also how long a partition that was sought waits for the one under way.
# A reader that is in no hurry asks an idle broker twice a second, not twenty times.
FETCH_WAIT_MS, SECOND_FETCH_WAIT_MS = 50, 500
STOP_S_MAX = 3.0  # stopping a client can wait for ever when its broker is gone


def connection(settings: Settings) -> dict[str, Any]:
    """The arguments that every client takes: where the broker is, and how it knows us."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
    }
    if "SSL" in settings.kafka_security_protocol:
        arguments["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
    if "SASL" in settings.kafka_security_protocol:
        if not settings.kafka_sasl_username or not settings.kafka_sasl_password:
            raise Fatal("TRADING_LLM_KAFKA_SASL_USERNAME and TRADING_LLM_KAFKA_SASL_PASSWORD must be set for SASL")
        arguments |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password,
        }
    return arguments


def plain_producer(settings: Settings) -> AIOKafkaProducer:
    """A producer for the edges: idempotent, acknowledged by all, no transactions."""
    return AIOKafkaProducer(**connection(settings), enable_idempotence=True, acks="all", max_request_size=REQUEST_BYTES_MAX)


def member(settings: Settings, group: str, instance: str, fetch_wait_ms: int) -> AIOKafkaConsumer:
    """A static member of a group, not subscribed; it commits nothing itself and starts nowhere by itself."""
    from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

    return AIOKafkaConsumer(
        **connection(settings),
        **(_reading(settings) | {"fetch_max_wait_ms": fetch_wait_ms}),
        group_id=group,
        group_instance_id=instance,
        partition_assignment_strategy=(StickyPartitionAssignor,),
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.heartbeat_interval_s * 1000),
        rebalance_timeout_ms=int(settings.rebalance_timeout_s * 1000),
        # A lane that is full asks for nothing, for as long as its engine needs; the watchdog on progress is ours.
        max_poll_interval_ms=24 * 3600 * 1000,
    )


def reader(settings: Settings, **arguments: Any) -> AIOKafkaConsumer:
    """A reader outside any group, of committed records only."""
    return AIOKafkaConsumer(**connection(settings), **(_reading(settings) | arguments), group_id=None)


def _reading(settings: Settings) -> dict[str, Any]:
    return {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "max_partition_fetch_bytes": settings.fetch_bytes_max,
    }


async def wait_for_broker(settings: Settings) -> None:
    """Return once the broker answers: who starts while it is being started again waits. Raises Fatal after `broker_wait_s`."""
    deadline_s, told = time.monotonic() + settings.broker_wait_s, False
    while True:
        try:
            await (await bare_client(settings)).close()
            return
        except (KafkaError, TimeoutError, OSError) as error:
            if time.monotonic() > deadline_s:
                raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up?") from error
            if not told:
                telemetry.event("broker.awaited", at=settings.kafka_bootstrap, s_max=settings.broker_wait_s)
            told = True
        await asyncio.sleep(BROKER_LOOK_S)


async def bare_client(settings: Settings) -> AIOKafkaClient:
    """A started client for single requests; the caller closes it."""
    arguments = connection(settings)
    client = AIOKafkaClient(**arguments)
    await asyncio.wait_for(client.bootstrap(), settings.request_timeout_s)
    return client


async def stop(client: AIOKafkaProducer | AIOKafkaConsumer) -> bool:
    """Stop a client within 3 s; False if it did not stop, and its tasks may linger."""
    try:
        await asyncio.wait_for(client.stop(), STOP_S_MAX)
    except (TimeoutError, aiokafka.errors.KafkaError, AssertionError):
        return False
    return True


def record_of(read: ConsumerRecord[bytes, bytes]) -> Record:
    """A client library's record as the pipeline knows it."""
    source = Source(read.topic, read.partition, read.offset)
    headers = tuple((name, value if value is not None else b"") for name, value in read.headers)
    return Record(source, read.key, read.value or b"", headers, read.timestamp, tombstone=read.value is None)


__all__ = [
    "AIOKafkaClient", "AIOKafkaConsumer", "AIOKafkaProducer", "KafkaError", "TopicPartition", "bare_client", "connection",
    "member", "plain_producer", "reader", "record_of", "stop", "wait_for_broker",
]  # fmt: skip
