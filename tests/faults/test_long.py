"""F1, F3: the whole pipeline, left alone, and under random kill -9. Small here; the long ones with `make faults`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.case import Case
from tests.faults.once import Plan, run
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer

pytestmark = pytest.mark.faults

FEW = ("deepseek", "phi3")
SMALL = {
    "quiet": Plan(1_000, kills=0, routers=2, workers=2, seed=1, models=FEW),
    "kills": Plan(1_000, kills=6, routers=2, workers=1, seed=int(time.time()) % 100_000, models=FEW),
}
SEEDS = (1, 2, 3)


async def proven(plan: Plan, broker: Broker, redis_server: RedisServer, folder: Path, case: Case) -> None:
    """Every context has one outcome, whatever was killed."""
    report = await run(plan, broker, redis_server, folder)
    case.seed, case.tried = plan.seed, max(1, plan.kills)
    case.fired = report.killed.total() if plan.kills else 1
    case.recovery_s = report.recovery_s
    case.figures = {f"kill -9 of a {room}": count for room, count in report.killed.items()}
    case.figures |= {"seconds": round(report.seconds, 1), "ended by themselves": report.fell.total()}
    assert report.verdict is not None, str(report)
    assert plan.kills or not report.fell, f"processes ended that nobody killed: {report.fell}"
    case.judge(report.verdict)
    assert report.verdict.outcomes == plan.contexts, str(report)


@pytest.mark.fault("F1")
async def test_left_alone(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path, case: Case) -> None:
    await proven(SMALL["quiet"], await wiped(fresh_topics), fresh_redis, tmp_path, case)


@pytest.mark.fault("F3")
async def test_random_kills_lose_and_repeat_nothing(
    fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path, case: Case
) -> None:
    await proven(SMALL["kills"], await wiped(fresh_topics), fresh_redis, tmp_path, case)


@pytest.mark.long
@pytest.mark.fault("F1")
@pytest.mark.timeout(420)
async def test_ten_thousand_left_alone(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path, case: Case) -> None:
    plan = Plan(10_000, kills=0, routers=2, workers=2, seed=1, models=MODELS)
    await proven(plan, await wiped(fresh_topics), fresh_redis, tmp_path, case)


@pytest.mark.long
@pytest.mark.fault("F3")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
async def test_ten_thousand_under_fifty_kills(
    fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path, case: Case, seed: int
) -> None:
    plan = Plan(10_000, kills=50, routers=2, workers=1, seed=seed, models=MODELS, brokers=1)
    await proven(plan, await wiped(fresh_topics), fresh_redis, tmp_path, case)


async def wiped(broker: Broker) -> Broker:
    """Nothing of the case before: each counts its own contexts."""
    await asyncio.to_thread(broker.wipe)
    await asyncio.to_thread(broker.apply_topics)
    return broker
