"""A rescue on real Kafka: by one router alone, without Redis too, and never of records that may have killed their askers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from aiokafka import OffsetAndMetadata, TopicPartition

from backbone import clients
from backbone.progress import Mark
from backbone.settings import Settings
from backbone.topics import MODEL_PARTITIONS
from schemas.decision import Decision
from schemas.headers import SRC, header_text
from schemas.source import Source
from schemas.topic import DECISIONS, model_topic
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching

pytestmark = pytest.mark.broker

DEAD, INSTEAD = "qwen", "deepseek"
MODELS = (INSTEAD, DEAD)
SOON = {"TRADING_LLM_SESSION_TIMEOUT_S": "6"}
UNSEEN_S = 6.0  # longer than a router needs to know that a model it heard of is down, and to look at its lanes


@pytest.fixture
def stack(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS)
    yield made
    made.close()


@pytest.fixture
async def watch(fresh_topics: Broker) -> AsyncIterator[Watch]:
    async with watching(fresh_topics.bootstrap, MODELS) as made:
        yield made


async def waiting(watch: Watch, label: str, count: int) -> list[Source]:
    """So many contexts that lie in the model's topic."""
    sources = await feed.send(watch.settings.kafka_bootstrap, feed.bodies(count, 40, 3, (DEAD,), label))
    await watch.until(lambda: {*map(str, sources)} <= sent_to_it(watch), "they wait for it")
    return sources


def sent_to_it(watch: Watch) -> set[str]:
    """The sources of what was sent to the model."""
    return {header_text(each.headers, SRC) or "" for each in watch.of(model_topic(DEAD))}


def answers(watch: Watch, sources: list[Source]) -> set[tuple[str, ...]]:
    """Each different way by which these came to their answers."""
    found = {header_text(each.headers, SRC): Decision.from_bytes(each.value) for each in watch.of(DECISIONS)}
    trails = [found[str(source)].route.attempts for source in sources]
    return {tuple(f"{attempt.model} {attempt.outcome}" for attempt in trail) for trail in trails}


def rescues(router: Running) -> int:
    return router.said().count("lane.rescue ")


async def test_one_router_rescues_by_what_kafka_alone_shows(stack: Pipeline, watch: Watch, fresh_redis: RedisServer) -> None:
    routers = [stack.router(n, SOON).wait_ready() for n in range(2)]
    stack.worker(INSTEAD, 0, SOON).wait_ready()
    worker = stack.worker(DEAD, 0, SOON | {"TRADING_LLM_SCRIPT": '{"faults": {"hang": ""}}'}).wait_ready()
    fresh_redis.kill()
    try:
        sources = await waiting(watch, "kafka", 20)
        worker.kill()
        await watch.until_answered(sources)
        assert answers(watch, sources) == {(f"{DEAD} rescued", f"{INSTEAD} answered")}
        first = [each for each in routers if re.search(r"lane\.claimed topic=contexts partition=0 ", each.said())][-1]
        assert [rescues(each) > 0 for each in routers] == [each is first for each in routers]
        metrics = (await asyncio.to_thread(httpx.get, f"{first.url}/metrics", timeout=10)).text
        assert f'trading_llm_rescued_total{{model="{DEAD}",to="{INSTEAD}"}} 20.0' in metrics
        verdict = await watch.settled(20)
        assert verdict.holds, str(verdict)
    finally:
        fresh_redis.start_again()


@pytest.mark.long  # its contexts must be routed in the 2.5 s before the router can know that their worker is gone
async def test_suspects_are_left_to_their_own_workers_care(stack: Pipeline, watch: Watch) -> None:
    router, worker = stack.router(0, SOON).wait_ready(), stack.worker(DEAD, 0, SOON).wait_ready()
    stack.worker(INSTEAD, 0, SOON).wait_ready()
    await watch.until_answered(await waiting(watch, "well", 8))
    assert worker.stop() == 0
    await suspect(watch.settings)
    sources = await waiting(watch, "suspect", 8)  # while nobody can know yet that it is gone
    await watch.until(lambda: "model.down model=qwen" in router.said(), "it is down")
    await asyncio.sleep(UNSEEN_S)
    assert rescues(router) == 0
    stack.worker(DEAD, 0, SOON)
    await watch.until_answered(sources)
    # Once its worker has begun to work them off, what is left of a lane is suspect no more, and may be sent on until the
    # router hears that the worker is back.
    own, sent_on = (f"{DEAD} answered",), (f"{DEAD} rescued", f"{INSTEAD} answered")
    assert {own} <= answers(watch, sources) <= {own, sent_on}
    verdict = await watch.settled(20)
    assert verdict.holds, str(verdict)


async def suspect(settings: Settings) -> None:
    """Let each lane's mark say that two owners died of what comes next."""
    topic, group = model_topic(DEAD), f"worker.{DEAD}"
    consumer = clients.AIOKafkaConsumer(**clients.connection(settings), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, n) for n in range(MODEL_PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        marks = {place: Mark(ends[place], claims=2) for place in places}
        await consumer.commit({place: OffsetAndMetadata(at.offset, at.metadata()) for place, at in marks.items()})
    finally:
        await clients.stop(consumer)
