"""Random kill -9 under load. Small here; larger by the environment, as `make faults` and a person may want it.

TEST_CONTEXTS=10000 TEST_KILLS=50 TEST_ROUTERS=3 TEST_WORKERS=2 TEST_SEED=7 pytest tests/faults/test_long.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.faults.once import Plan, run
from tests.support.kafka import Broker
from tests.support.redis import RedisServer

pytestmark = pytest.mark.faults


def number(name: str, default: int) -> int:
    return int(os.environ.get(f"TEST_{name}", default))


@pytest.mark.timeout(3_600)
async def test_random_kills_lose_and_repeat_nothing(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> None:
    plan = Plan(
        contexts=number("CONTEXTS", 1_000),
        kills=number("KILLS", 6),
        routers=number("ROUTERS", 2),
        workers=number("WORKERS", 1),
        seed=number("SEED", int(time.time()) % 100_000),
        models=("deepseek", "phi3") if "TEST_CONTEXTS" not in os.environ else ("deepseek", "qwen", "fingpt", "phi3"),
    )
    report = await run(plan, fresh_topics, fresh_redis, tmp_path)
    assert report.verdict is not None and report.verdict.holds, str(report)
    assert report.killed.total() == plan.kills, f"a kill that did not fire proves nothing\n{report}"
    assert report.verdict.outcomes == plan.contexts, str(report)
