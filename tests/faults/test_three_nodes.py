"""F10: three brokers, one after the other killed while everything is being written: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.case import Case
from tests.faults.recovery import every_lane, passages, recoveries_s
from tests.faults.stop_points import MODEL, Rig
from tests.support.cluster import Cluster
from tests.support.feed import feeding
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F10"), pytest.mark.timeout(420)]

KILLS_A_NODE = 3
SEED = 10
PER_S = 100
AWAY_S = 5.0  # longer than its session: its partitions get other leaders


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster.start(tmp_path / "cluster")
    try:
        made.apply_topics()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def spread(cluster: Cluster, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    pipeline = Pipeline(cluster, fresh_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(cluster.bootstrap, (MODEL,)) as watch:
            yield Rig(pipeline, watch, label="three")
    finally:
        pipeline.close()


async def test_what_is_acknowledged_outlives_each_broker(spread: Rig, cluster: Cluster, case: Case) -> None:
    processes = [spread.start("router"), spread.start("worker")]
    victims = [node for node in cluster.nodes for _ in range(KILLS_A_NODE)]
    random.Random(SEED).shuffle(victims)
    case.tried, case.seed = len(victims), SEED
    killed_ms = []
    async with feeding(cluster.bootstrap, PER_S, label="three") as fed:
        await spread.go_on(3)
        for victim in victims:
            victim.kill()
            killed_ms.append(time.time() * 1000)
            case.fired += 1
            await spread.go_on(AWAY_S)
            await asyncio.to_thread(victim.start_again)
            await cluster.whole()
            await spread.go_on(1)
    await spread.watch.until_answered(fed.acknowledged, 60)
    verdict = await spread.watch.settled(60)
    found = passages(spread.watch, (MODEL,))
    case.recovery_s = [each for at in killed_ms for each in recoveries_s(found, every_lane((MODEL,)), at)]
    case.figures = {"acknowledged": len(fed.acknowledged), "unknown": fed.unknown}
    case.figures["lanes lost"] = sum(each.said().count("lane.lost ") for each in processes)
    case.judge(verdict)
    lying = {record.source for record in spread.watch.of("contexts")}
    assert set(fed.acknowledged) <= lying, "acknowledged, and not in the log"
    assert [each.popen.poll() for each in processes] == [None, None], "a process ended because a broker did"
