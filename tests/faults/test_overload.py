"""F17, V8: ten times what can be answered, and a hundred thousand contexts in a row: memory stays where it was."""

from __future__ import annotations

import json

import pytest

from deploy.local.kafka_node import REPOSITORY
from tests.faults.case import Case
from tests.faults.memory import sampled, write
from tests.faults.stop_points import MODEL, Rig
from tests.faults.test_wire import tails
from tests.support.feed import feeding
from workers.catalogue import load_catalogue

pytestmark = [pytest.mark.faults, pytest.mark.long]

ANSWER_S = 0.2  # one answer; an engine gives as many at once as its catalogue entry says
TIMES = 10
OVERLOAD_S = 60.0  # of the five minutes that an operator might see; what grows by the context grows in one
TTL_MS = 2_000
AFTER_PER_S = 20
AFTER_S = 10.0
GROWTH_MB_MAX = 40.0
MANY = 100_000
MANY_PER_S = 900
WARM_S = 25.0  # 22,500 contexts: every window that fills has filled


def can_answer_per_s() -> float:
    """What the worker's engine gives at most."""
    return load_catalogue(REPOSITORY / "deploy" / "models")[MODEL].concurrency / ANSWER_S


@pytest.mark.fault("F17")
async def test_ten_times_the_load(rig: Rig, case: Case) -> None:
    script = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": ANSWER_S * 1000})}
    processes = {"router": rig.start("router"), "worker": rig.start("worker", **script)}
    per_s = TIMES * can_answer_per_s()
    async with sampled(processes) as memory:
        async with feeding(rig.bootstrap, per_s, keys=500, label=f"{rig.label}-over", ttl_ms=TTL_MS) as over:
            await rig.go_on(OVERLOAD_S)
        await rig.watch.until_answered(over.acknowledged, 90)
    async with feeding(rig.bootstrap, AFTER_PER_S, label=f"{rig.label}-after", ttl_ms=TTL_MS) as after:
        await rig.go_on(AFTER_S)
    await rig.watch.until_answered(after.acknowledged)
    verdict = await rig.watch.settled(60)
    case.fired = int(len(over.acknowledged) > TIMES * 0.5 * can_answer_per_s() * OVERLOAD_S)
    case.figures = {"offered a second": round(len(over.acknowledged) / OVERLOAD_S), "can be answered": round(can_answer_per_s())}
    case.figures |= dict(verdict.statuses) | tails(rig, after.acknowledged, "after")
    case.figures |= {f"{name} grew MB": memory.growth_mb(name, 10) for name in processes}
    case.judge(verdict, len(over.acknowledged) + len(after.acknowledged))
    assert verdict.statuses.get("EXPIRED", 0) > 0, "nothing expired: there was no overload"
    assert all(memory.growth_mb(name, 10) < GROWTH_MB_MAX for name in processes), case.figures


@pytest.mark.fault("V8")
@pytest.mark.timeout(600)
async def test_memory_is_flat_over_a_hundred_thousand_contexts(rig: Rig, case: Case) -> None:
    # A window of 1,000 ids a partition is full early; one of 20,000 would still be filling at the end, as it may.
    processes = {"router": rig.start("router", TRADING_LLM_DEDUPE_WINDOW="1000"), "worker": rig.start("worker")}
    async with sampled(processes) as memory:
        async with feeding(rig.bootstrap, MANY_PER_S, keys=500, label=rig.label, ttl_ms=600_000) as fed:
            while len(fed.acknowledged) < MANY:
                await rig.go_on(0.5)
        await rig.watch.until_answered(fed.acknowledged, 300)
    case.fired = 1
    case.figures = {f"{name} grew MB": memory.growth_mb(name, WARM_S) for name in processes}
    case.figures |= {f"{name} most MB": max(memory.mb[name]) for name in processes}
    write(memory, REPOSITORY / "docs", "memory-100k", f"MB resident over {len(fed.acknowledged):,} contexts")
    case.judge(await rig.watch.settled(120), len(fed.acknowledged))
    assert all(memory.growth_mb(name, WARM_S) < GROWTH_MB_MAX / 2 for name in processes), case.figures
