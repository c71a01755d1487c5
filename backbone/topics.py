"""The topics of the pipeline: planned, made once with every lane's first offset, and checked at each start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NodeNotReadyError, TopicAlreadyExistsError, for_code

from backbone import clients
from backbone.control import PARTITION, POLICY_CURRENT
from backbone.errors import Fatal, Transient
from backbone.protocol import NO_OFFSET, committed
from backbone.settings import Settings
from backbone.transaction_version import check_transactions
from schemas import topic as names
from schemas.policy import Policy
from schemas.policy_flaw import PolicyError
from schemas.topic import Side

DAY_MS = 86_400_000
FOR_EVER = -1
CONTEXTS_PARTITIONS = 8  # also of `decisions`; a bot's key finds its partition by it
MODEL_PARTITIONS = 4  # the ceiling of a model's worker processes
YEAR_MINUTES = 365 * 24 * 60
LOOKS_MAX = 10  # x 0.5 s: a broker that is up, and has not yet heard of itself
LOOK_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Planned:
    """One topic as it must be; `group` reads it in lanes, if any."""

    name: str
    partitions: int
    retention_ms: int
    group: str | None = None
    compacted: bool = False

    @property
    def config(self) -> dict[str, str]:
        """Its settings on the broker."""
        cleanup = "compact" if self.compacted else "delete"
        kept = {} if self.compacted else {"retention.ms": str(self.retention_ms)}
        return {
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(clients.REQUEST_BYTES_MAX),
            "cleanup.policy": cleanup,
            **kept,
        }


def plan(models: Sequence[str]) -> tuple[Planned, ...]:
    """Every topic for these models. Partition counts are fixed for ever: more of them would break the order of a key."""
    return (
        *_lanes(models, Side.LIVE),
        *_lanes(models, Side.REPLAYS),
        Planned(names.MODELS_STATUS, 1, FOR_EVER, compacted=True),
        Planned(names.CONTROL, 1, FOR_EVER, compacted=True),
    )


def _lanes(models: Sequence[str], side: Side) -> Iterator[Planned]:
    live = side is Side.LIVE
    yield Planned(side.contexts, CONTEXTS_PARTITIONS, FOR_EVER if live else 7 * DAY_MS, side.router_group)
    for model in models:
        yield Planned(side.waiting(model), MODEL_PARTITIONS, 7 * DAY_MS, side.worker_group(model))
    yield Planned(side.decisions, CONTEXTS_PARTITIONS, FOR_EVER)
    yield Planned(side.dead_letters, 4, 90 * DAY_MS if live else 7 * DAY_MS)


@dataclass(slots=True)
class Applied:
    """What `apply` did and saw."""

    created: list[str] = field(default_factory=list)
    lanes: int = 0
    warnings: list[str] = field(default_factory=list)


async def apply(settings: Settings, models: Sequence[str], replication: int = 1) -> Applied:
    """Make what is missing, commit offset 0 for each new lane, and put the default policy in force where none is.

    Raises Fatal, naming thing and remedy, where the broker is away or a topic is there with another partition count.
    """
    try:
        async with asyncio.timeout(60):
            done = await _create(settings, plan(models), replication)
            await check(settings, models)
            done.lanes = await _first_offsets(settings, plan(models), frozenset(done.created))
            await _put_policy(settings)
    except (KafkaError, TimeoutError, Transient) as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}") from error
    return done


async def check(settings: Settings, models: Sequence[str]) -> None:
    """Fatal, with every difference and the remedy, unless each topic is there with its partition count.

    Before all else, unless the cluster's transactions are those that lanes need: every process asks this at its start.
    """
    described = await _described(settings, models)
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    wrong = [
        f"{each.name} has {counts[each.name]} partitions, not {each.partitions}: it must be made anew under that name"
        for each in plan(models)
        if each.name in counts and counts[each.name] != each.partitions
    ]
    if missing := [each.name for each in plan(models) if each.name not in counts]:
        wrong.append(f"missing: {', '.join(missing)}: run `trading-llm topics apply`")
    if wrong:
        raise Fatal("topics: " + "; ".join(wrong))


async def _described(settings: Settings, models: Sequence[str]) -> list[dict[str, Any]]:
    """What the broker says of each planned topic; one that has just come up, and knows no broker yet, is asked again."""
    last: KafkaError | None = None
    for _ in range(LOOKS_MAX):
        admin = AIOKafkaAdminClient(**clients.connection(settings))
        try:
            await admin.start()
            await check_transactions(admin._client)
            described: list[dict[str, Any]] = await admin.describe_topics([each.name for each in plan(models)])
            return described
        except NodeNotReadyError as error:
            last = error
        except KafkaError as error:
            raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}") from error
        finally:
            await admin.close()
        await asyncio.sleep(LOOK_PAUSE_S)
    raise Fatal(f"broker at {settings.kafka_bootstrap}: {last!r}") from last


async def _create(settings: Settings, planned: Sequence[Planned], replication: int) -> Applied:
    admin = AIOKafkaAdminClient(**clients.connection(settings))
    done = Applied()
    try:
        await admin.start()
        new = [NewTopic(p.name, p.partitions, replication, topic_configs=p.config) for p in planned]
        response = await admin.create_topics(new, timeout_ms=30_000)
        for name, error, *_ in response.topic_errors:
            if not error:
                done.created.append(name)
            elif for_code(error) is not TopicAlreadyExistsError:
                raise Fatal(f"topic {name} cannot be made: {for_code(error).__name__}")
        done.warnings = await _warnings(admin)
    finally:
        await admin.close()
    return done


async def _warnings(admin: AIOKafkaAdminClient) -> list[str]:
    """What the broker's own settings put at risk: offsets of an idle group that expire."""
    key = "offsets.retention.minutes"
    node = next(iter(admin._client.cluster.brokers())).nodeId
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(node), {key: None})])
    for response in responses:
        for *_, entries in response.resources:
            for name, value, *_ in entries:
                if name == key and int(value) < YEAR_MINUTES:
                    return [
                        f"broker: {key}={value}, under a year: an idle group loses its offsets, and its lanes refuse to start"
                    ]
    return []


async def _first_offsets(settings: Settings, planned: Sequence[Planned], created: frozenset[str]) -> int:
    """Commit 0 where nothing is committed and nothing can have been decided: a topic just made, or one still empty."""
    lanes = 0
    for each in planned:
        if each.group is None:
            continue
        consumer = AIOKafkaConsumer(**clients.connection(settings), group_id=each.group, enable_auto_commit=False)
        try:
            await consumer.start()
            partitions = [TopicPartition(each.name, p) for p in range(each.partitions)]
            new = [p for p in partitions if await _is_new(consumer, p, each, created)]
            if new:
                consumer.assign(new)
                await consumer.commit(dict.fromkeys(new, 0))
            lanes += len(new)
        finally:
            await clients.stop(consumer)
    return lanes


async def _is_new(consumer: AIOKafkaConsumer, partition: TopicPartition, planned: Planned, created: frozenset[str]) -> bool:
    group = str(planned.group)
    offset, _ = await committed(consumer._client, group, partition.topic, partition.partition)
    if offset != NO_OFFSET:
        return False
    return planned.name in created or (await consumer.end_offsets([partition]))[partition] == 0


async def _put_policy(settings: Settings) -> None:
    """Put the policy file in force on `control`, unless one is that can be read."""
    if await _current(settings) is None:
        await publish_policy(settings, settings.policy.read_text(encoding="utf-8"), settings.policy.name)


async def policy_in_force(settings: Settings) -> Policy | None:
    """The policy in force as it lies on `control`; None where none is, or none that can be read. Raises Fatal."""
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            return await _current(settings)
    except (KafkaError, TimeoutError) as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error


async def policies(settings: Settings) -> dict[str, str]:
    """The text of every policy that lies on `control`, by its digest. Raises Fatal."""
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            values = await _said(settings)
    except (KafkaError, TimeoutError) as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error
    found = {key.removeprefix("policy/"): value for key, value in values.items() if key.startswith("policy/")}
    return {name: policy.text for name, value in found.items() if (policy := _sound(value, name)) is not None}


async def publish_policy(settings: Settings, text: str, name: str = "policy") -> str:
    """Put this policy in force; answers its digest. `name` is its file's.

    The text goes first: whoever reads which digest is in force has read its text. Raises PolicyError where the text may
    not be put in force, and Fatal where the broker is away.
    """
    digest = Policy.from_file(text, name, settings.catalogue_names).digest
    producer = clients.plain_producer(settings)
    try:
        await producer.start()
        body = json.dumps({"text": text}).encode()
        await producer.send_and_wait(names.CONTROL, key=f"policy/{digest}".encode(), value=body)
        await producer.send_and_wait(names.CONTROL, key=POLICY_CURRENT.encode(), value=json.dumps(digest).encode())
    except KafkaError as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error
    finally:
        await clients.stop(producer)
    return digest


async def _current(settings: Settings) -> Policy | None:
    values = await _said(settings)
    digest = (values.get(POLICY_CURRENT) or b"").decode("utf-8", "replace").strip().strip('"')
    return _sound(values.get(f"policy/{digest}"), digest)


def _sound(value: bytes | None, digest: str) -> Policy | None:
    try:
        policy = Policy.from_toml(json.loads(value or b"")["text"])
    except (ValueError, KeyError, TypeError, PolicyError):
        return None
    return policy if policy.digest == digest else None


async def _said(settings: Settings) -> dict[str, bytes | None]:
    """The newest value of each key of `control`."""
    consumer = clients.reader(settings, auto_offset_reset="earliest")
    consumer.assign([PARTITION])
    values: dict[str, bytes | None] = {}
    try:
        await consumer.start()
        end = (await consumer.end_offsets([PARTITION]))[PARTITION]
        while await consumer.position(PARTITION) < end:
            read = await consumer.getmany(PARTITION, timeout_ms=500)
            values |= {(each.key or b"").decode("utf-8", "replace"): each.value for each in read.get(PARTITION, ())}
    finally:
        await clients.stop(consumer)
    return values
