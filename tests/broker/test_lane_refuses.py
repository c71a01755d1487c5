"""A process that cannot keep its promise says so in one line and ends; it decides nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from backbone import topics
from backbone.settings import Settings
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS, model_topic
from tests.support import feed
from tests.support.kafka import MODELS, Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = pytest.mark.broker

Act = Callable[[AIOKafkaAdminClient], Awaitable[object]]


@pytest.fixture
def stack(broker: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline on a Kafka that each of these tests may spoil."""
    broker.wipe()
    broker.apply_topics()
    made = Pipeline(broker, fresh_redis, tmp_path, models=("phi3",))
    yield made
    made.close()


async def spoil(broker: Broker, act: Act) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await act(admin)
    finally:
        await admin.close()


def refusal(process: Running) -> str:
    """The one line in which it says why it ended."""
    assert process.wait_exit(60) not in (0, -9)
    log = process.log.read_text()
    said = [line for line in log.splitlines() if " CRITICAL " in line]
    assert len(said) == 1, log
    assert "Traceback" not in log, log
    return said[0]


@pytest.mark.parametrize(("group", "topic"), [("router", CONTEXTS), ("worker.phi3", model_topic("phi3"))])
async def test_a_group_whose_offset_is_gone_decides_nothing_again(
    stack: Pipeline, broker: Broker, group: str, topic: str
) -> None:
    short = {"TRADING_LLM_SESSION_TIMEOUT_S": "6"}
    first = [stack.router(env=short).wait_ready(), stack.worker("phi3", env=short).wait_ready()]
    async with watching(broker.bootstrap, ("phi3",)) as watch:
        await watch.until_answered(await feed.send(broker.bootstrap, feed.bodies(50, 5, 1)))
        for process in first:
            process.kill()
        await asyncio.to_thread(gone_from, broker, group)
        again = stack.router(env=short) if group == "router" else stack.worker("phi3", env=short)
        said = refusal(again)
        assert f"group {group} has no offset on {topic}/" in said and "topics apply" in said
        await watch.read()
        assert len(watch.of(DECISIONS)) == 50
        assert watch.of(DEAD_LETTERS) == ()


async def test_the_remedy_for_a_lost_offset_says_when_it_can_be_done(stack: Pipeline, broker: Broker) -> None:
    await asyncio.to_thread(gone_from, broker, "router")
    said = refusal(stack.router(env={"TRADING_LLM_SESSION_TIMEOUT_S": "6"}))
    assert "set it by kafka-consumer-groups" in said
    assert "only while the group has no member" in said and "the 6 s of their sessions" in said
    assert "UNKNOWN_MEMBER_ID" in set_to_start(broker, "router"), "the one that refused is a member still"
    deadline = time.monotonic() + 30
    while set_to_start(broker, "router"):
        assert time.monotonic() < deadline, "the remedy does not hold"
        await asyncio.sleep(0.1)
    stack.router().wait_ready()


def set_to_start(broker: Broker, group: str) -> str:
    """What kafka-consumer-groups does to `contexts`; answers what the broker refused it for."""
    offsets = [TopicPartition(CONTEXTS, partition, 0) for partition in range(topics.CONTEXTS_PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    done = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])[group].result(10)
    return " ".join(each.error.name() for each in done.topic_partitions if each.error)


def gone_from(broker: Broker, group: str) -> None:
    """The group's offsets expire: it is deleted once its dead members' sessions are over."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for _ in range(400):
        try:
            admin.delete_consumer_groups([group])[group].result()
            return
        except KafkaException:
            time.sleep(0.1)
    raise AssertionError(f"group {group} cannot be deleted")


@pytest.mark.parametrize("room", ["router", "worker"])
async def test_a_missing_topic_is_named_with_the_remedy(stack: Pipeline, broker: Broker, room: str) -> None:
    await spoil(broker, lambda admin: admin.delete_topics([model_topic("qwen"), DECISIONS]))
    said = refusal(stack.router() if room == "router" else stack.worker("phi3"))
    assert model_topic("qwen") in said and DECISIONS in said and "topics apply" in said


@pytest.mark.parametrize("room", ["router", "worker"])
async def test_a_wrong_partition_count_is_named(stack: Pipeline, broker: Broker, room: str) -> None:
    async def remake(admin: AIOKafkaAdminClient) -> None:
        await admin.delete_topics([DEAD_LETTERS])
        for _ in range(100):
            made = await admin.create_topics([NewTopic(DEAD_LETTERS, 3, 1)])
            if not made.topic_errors[0][1]:
                return
            await asyncio.sleep(0.1)

    await spoil(broker, remake)
    said = refusal(stack.router() if room == "router" else stack.worker("phi3"))
    assert f"{DEAD_LETTERS} has 3 partitions, not 4" in said


async def test_a_model_that_is_in_no_catalogue_is_named(stack: Pipeline) -> None:
    said = refusal(stack.worker("gpt"))
    assert "TRADING_LLM_MODEL=gpt" in said and "phi3" in said


async def test_a_router_that_cannot_be_loaded_is_named(stack: Pipeline) -> None:
    said = refusal(stack.router(env={"TRADING_LLM_ROUTER": "no.such:Thing"}))
    assert "TRADING_LLM_ROUTER=no.such:Thing" in said


async def test_applying_the_topics_again_changes_nothing(stack: Pipeline, broker: Broker) -> None:
    settings = Settings(kafka_bootstrap=broker.bootstrap)
    for process in (stack.router(), stack.worker("phi3")):
        process.wait_ready()
    async with watching(broker.bootstrap, ("phi3",)) as watch:
        await watch.until_answered(await feed.send(broker.bootstrap, feed.bodies(50, 5, 1)))
        assert (await watch.settled()).holds
        before = await watch.marks()
        for _ in range(2):
            applied = await topics.apply(settings, MODELS)
            assert (applied.created, applied.lanes, applied.warnings) == ([], 0, [])
        after = await watch.marks()
        assert all(after[place].offset >= mark.offset for place, mark in before.items())
        await watch.until_answered(await feed.send(broker.bootstrap, feed.bodies(50, 5, 2, label="again")))
        assert (await watch.settled()).holds
