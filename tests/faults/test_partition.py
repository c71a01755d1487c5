"""F8: a worker is cut off from the broker and from Redis, and nobody is told; its lanes go on elsewhere, and it comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka_node import KafkaNode
from deploy.local.ports import HOST, free_port
from tests.faults.case import Case
from tests.faults.recovery import every_lane, passages, recoveries_s
from tests.faults.stop_points import MODEL, Rig
from tests.support.feed import feeding
from tests.support.kafka import SESSION_MS, Broker
from tests.support.namespace import Namespace, why_not
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline, Site
from tests.support.watch import watching

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F8")]

PER_S = 50
CUT_S = 12.0  # of a session of 6 s: its lanes move
WHOLE_S = 6.0
CUTS = 2


@pytest.fixture
def far() -> Iterator[Namespace]:
    assert not why_not(), why_not()  # a fault that cannot be staged is not shown
    made = Namespace()
    try:
        made.make()
        yield made
    finally:
        made.remove()


@pytest.fixture
def far_broker(far: Namespace, tmp_path: Path) -> Iterator[Broker]:
    """A Kafka that listens on the far wire, too."""
    port, controller_port, behind = (free_port() for _ in range(3))
    places = f"BROKER://{HOST}:{port},WIRE://{far.here}:{behind}"
    more = {
        "listeners": f"{places},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": places,
        "listener.security.protocol.map": "BROKER:PLAINTEXT,WIRE:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    folder = tmp_path / "kafka"
    broker = Broker(folder, KafkaNode(port, controller_port, folder, SESSION_MS, more=more))
    broker.start_again()
    broker.apply_topics()
    yield broker
    broker.stop()


@pytest.fixture
def far_redis(far: Namespace, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", also=far.here)
    server.start_again()
    yield server
    server.stop()


@pytest.fixture
async def spread(far_broker: Broker, far_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    pipeline = Pipeline(far_broker, far_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(far_broker.bootstrap, (MODEL,)) as watch:
            yield Rig(pipeline, watch, label="far")
    finally:
        pipeline.close()


@pytest.fixture
def environment(far: Namespace, far_broker: Broker, far_redis: RedisServer) -> dict[str, str]:
    """What a process at the far end of the wire is told."""
    return {
        "TRADING_LLM_KAFKA_BOOTSTRAP": far_broker.node.more["advertised.listeners"].partition("WIRE://")[2],
        "TRADING_LLM_REDIS_URL": f"redis://{far.here}:{far_redis.port}/0",
        "TRADING_LLM_HTTP_HOST": far.there,
        "TRADING_LLM_SESSION_TIMEOUT_S": "6",
    }


async def test_a_worker_that_is_cut_off(spread: Rig, far: Namespace, environment: dict[str, str], case: Case) -> None:
    spread.start("router")
    spread.start("worker")
    cut_off = spread.pipeline.worker(MODEL, 1, environment, Site(far.inside, far.there)).wait_ready()
    case.tried, cut_ms = CUTS, []
    async with feeding(spread.bootstrap, PER_S, label=spread.label) as fed:
        for _ in range(CUTS):
            await spread.go_on(WHOLE_S)
            claims = claimed(cut_off)
            far.cut()
            cut_ms.append(time.time() * 1000)
            await spread.go_on(CUT_S)
            far.mend()
            await claims_again(spread, cut_off, claims)
            case.fired += 1
    await spread.watch.until_answered(fed.acknowledged)
    verdict = await spread.watch.settled(30)
    found = await asyncio.to_thread(passages, spread.watch, (MODEL,))
    case.recovery_s = [each for at in cut_ms for each in recoveries_s(found, every_lane((MODEL,)), at)]
    case.judge(verdict)
    assert cut_off.popen.poll() is None, "it ended because its wire was cut"


def claimed(process: Running) -> int:
    """How many lanes it has claimed so far: one more, once its wire is whole, shows that it was out."""
    return process.said().count("lane.claimed ")


async def claims_again(rig: Rig, process: Running, claims: int) -> None:
    """Read until it has claimed another lane."""
    await rig.watch.until(lambda: claimed(process) > claims, "it has lanes again")
