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

# What deepseek cannot answer it hands on to phi3, and what waits for phi3 a rescuer sends on to fingpt.
BAD, LAST = "deepseek", "fingpt"
MODELS = (BAD, MODEL, LAST)
ONE_ANSWER = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 2_000})}  # longer than who does not pause leaves any lane alone
NO_ANSWER = {"TRADING_LLM_SCRIPT": json.dumps({"faults": {"cut": ""}})}
ALONE = 40  # contexts that phi3 answers or nobody does
TTL_MS = 30_000
HANDED_ON_PER_S = 40.0
CLAIMS_MAX = 12  # of each of four lanes: the rescuer, the worker, and once more


@pytest.fixture
def wiped(broker: Broker) -> Broker:
    """The session's Kafka with fresh topics: what a mistake did stays in the logs."""
    broker.wipe()
    broker.apply_topics()
    return broker


@pytest.fixture
async def contest(wiped: Broker, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig of three models; nothing is started."""
    pipeline = Pipeline(wiped, fresh_redis, tmp_path, models=MODELS)
    try:
        async with watching(wiped.bootstrap, MODELS) as watch:
            yield Rig(pipeline, watch, label=tmp_path.name)
    finally:
        pipeline.close()


async def a_worker_comes_back_unseen(rig: Rig) -> tuple[Running, Running]:
    """Its heartbeats go where the router does not read, which rescues on. The worker and the router, once all is answered."""
    elsewhere = {"TRADING_LLM_REDIS_URL": rig.pipeline.environment["TRADING_LLM_REDIS_URL"].removesuffix("/0") + "/1"}
    router, *others = (
        rig.pipeline.router(0, elsewhere),
        rig.pipeline.worker(BAD, 0, elsewhere | NO_ANSWER),
        rig.pipeline.worker(LAST, 0, elsewhere),
    )
    for process in (router, *others):
        await asyncio.to_thread(process.wait_ready)
    alone = feed.bodies(ALONE, 40, 9, (MODEL,), f"{rig.label}-alone", fallback=False, ttl_ms=TTL_MS)
    sources = await feed.send(rig.bootstrap, alone)
    await rig.watch.until(lambda: router.said().count("lane.rescue ") == 4, "its lanes are taken over")
    worker = rig.pipeline.worker(MODEL, 0, ONE_ANSWER)
    more = {"model_preference": BAD, "ttl_ms": TTL_MS}
    async with feed.feeding(rig.bootstrap, HANDED_ON_PER_S, label=f"{rig.label}-more", **more) as handed_on:
        await rig.watch.until_answered(sources)
    await rig.watch.until_answered(handed_on.acknowledged)
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
