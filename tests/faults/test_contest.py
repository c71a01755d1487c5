"""A worker that lives, and a rescuer that cannot see so: they get on, unless who is fenced claims again at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.decision import Decision
from schemas.topic import DECISIONS, model_topic
from tests.faults import planted
from tests.faults.case import Case
from tests.faults.stop_points import MODEL, Rig
from tests.model.planted import Plant
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = pytest.mark.faults

ONE_ANSWER = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 2_000})}  # longer than who does not pause leaves any lane alone
# A router that believes in members a minute after the last heartbeat: until then it rescues on, and sees nobody.
UNSEEING = {"TRADING_LLM_SESSION_TIMEOUT_S": "60"}
ALONE, TTL_MS = 40, 50_000  # contexts that the model answers or nobody does
# What else waits for it alone: a rescuer gives each up in its last second, and so writes into every lane again and again.
HURRIED, FIRST_MS, APART_MS = 800, 12_000, 50
CLAIMS_MAX = 12  # of each of four lanes: the rescuer, the worker, and once more


@pytest.fixture
def wiped(broker: Broker) -> Broker:
    """The session's Kafka with fresh topics: what a mistake did stays in the logs."""
    broker.wipe()
    broker.apply_topics()
    return broker


@pytest.fixture
async def contest(wiped: Broker, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig of one model; nothing is started."""
    pipeline = Pipeline(wiped, fresh_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(wiped.bootstrap, (MODEL,)) as watch:
            yield Rig(pipeline, watch, label=tmp_path.name)
    finally:
        pipeline.close()


async def a_worker_comes_back_unseen(rig: Rig) -> tuple[Running, Running]:
    """Its heartbeats go where the router does not read, which rescues on. The worker and the router, once all is answered."""
    elsewhere = {"TRADING_LLM_REDIS_URL": rig.pipeline.environment["TRADING_LLM_REDIS_URL"].removesuffix("/0") + "/1"}
    router = rig.pipeline.router(0, elsewhere | UNSEEING)
    await asyncio.to_thread(router.wait_ready)
    only = {"fallback": False, "model_preference": MODEL}
    waiting = feed.bodies(ALONE, 40, 9, label=f"{rig.label}-alone", ttl_ms=TTL_MS, **only)
    hurried = feed.bodies(HURRIED, 40, 9, label=f"{rig.label}-hurried", **only)
    waiting += [each | {"ttl_ms": FIRST_MS + n * APART_MS} for n, each in enumerate(hurried)]
    sources = await feed.send(rig.bootstrap, waiting)
    await rig.watch.until(lambda: router.said().count("lane.rescue ") == 4, "its lanes are taken over")
    worker = rig.pipeline.worker(MODEL, 0, ONE_ANSWER)
    await rig.watch.until_answered(sources, 120)
    return worker, router


def answered_by_it(rig: Rig) -> int:
    """How many of those contexts it answered that nobody else may."""
    decisions = [Decision.from_bytes(each.value) for each in rig.watch.of(DECISIONS)]
    return sum(each.model is not None and each.model.name == MODEL and "-alone-" in each.context_id for each in decisions)


def claims(*processes: Running) -> int:
    return sum(process.said().count(f"lane.claimed topic={model_topic(MODEL)} ") for process in processes)


@pytest.mark.fault("planted")
@pytest.mark.parametrize("plant", [planted.a_fenced_rescuer_that_claims_again_at_once], ids=lambda plant: plant.__name__)
async def test_who_claims_again_at_once_keeps_the_other_from_answering(contest: Rig, case: Case, plant: Plant) -> None:
    contest.pipeline.runner = ("tests.faults.planted", plant.__name__)
    worker, router = await a_worker_comes_back_unseen(contest)
    case.fired = worker.said().count("was claimed elsewhere")
    case.figures = {"claims": claims(worker, router), "not answered in time": ALONE - answered_by_it(contest)}
    verdict = await contest.watch.settled(30)
    case.contexts = verdict.contexts
    assert verdict.holds, f"it is no answer, but nothing is lost: {verdict}"
    assert case.fired and claims(worker, router) > CLAIMS_MAX, case.figures
    assert answered_by_it(contest) < ALONE, case.figures


@pytest.mark.long
@pytest.mark.fault("unplanted")
async def test_who_is_fenced_leaves_the_lane_alone_and_the_worker_answers(contest: Rig, case: Case) -> None:
    worker, router = await a_worker_comes_back_unseen(contest)
    case.fired = router.said().count("lane.left_alone ")
    case.figures = {"claims": claims(worker, router), "not answered in time": ALONE - answered_by_it(contest)}
    case.judge(await contest.watch.settled(60))
    assert answered_by_it(contest) == ALONE
    assert claims(worker, router) <= CLAIMS_MAX
