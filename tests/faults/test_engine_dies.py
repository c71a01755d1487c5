"""F15, F14: the real engine's process is killed under its worker, or hangs: each question ends once, and a new life answers."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from schemas.decision import Decision
from schemas.topic import DECISIONS
from tests.faults.case import Case
from tests.faults.recovery import lanes_of, passages, recoveries_s
from tests.faults.stop_points import MODEL, Rig

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F15"), pytest.mark.timeout(420)]

READY_S_MAX = 180.0
VLLM = {"TRADING_LLM_ENGINE": "vllm"}
SOON_HUNG = {"TRADING_LLM_HUNG_S": "2"}


def cores(worker: int) -> list[int]:
    """The engine's processes below this worker."""
    return [child.pid for child in psutil.Process(worker).children(recursive=True) if "EngineCor" in child.name()]


async def test_a_killed_engine_core(rig: Rig, case: Case) -> None:
    rig.start("router")
    worker = rig.launch("worker", **VLLM)
    await asyncio.to_thread(worker.wait_ready, READY_S_MAX)
    sources = await rig.feed(60, ttl_ms=600_000)
    await rig.watch.until(lambda: bool({*sources} & rig.watch.answered), "the first answers")
    died = asyncio.create_task(rig.started_again(worker, "worker", **VLLM))
    for core in cores(worker.pid):
        os.kill(core, signal.SIGKILL)
        case.fired += 1
    sources += await rig.feed(60, ttl_ms=600_000)
    code, ended_ms, again = await died
    await rig.watch.until_answered(sources, READY_S_MAX)
    case.recovery_s = recoveries_s(passages(rig.watch, (MODEL,)), lanes_of(again), ended_ms)
    case.judge(await rig.watch.settled(30), len(sources))
    assert code != 0, "a worker without its engine must end"


@pytest.mark.fault("F14")
async def test_a_hung_engine_core(rig: Rig, case: Case) -> None:
    """What it was asked while it hung is named as such in the trail; its process ends by itself, and the next one answers."""
    rig.start("router")
    worker = rig.launch("worker", **VLLM, **SOON_HUNG)
    await asyncio.to_thread(worker.wait_ready, READY_S_MAX)
    sources = await rig.feed(20, ttl_ms=600_000)
    await rig.watch.until_answered(sources)
    died = asyncio.create_task(rig.started_again(worker, "worker", **VLLM, **SOON_HUNG))
    for core in cores(worker.pid):
        os.kill(core, signal.SIGSTOP)
        case.fired += 1
    sources += await rig.feed(60, ttl_ms=600_000)
    code, ended_ms, again = await died
    await asyncio.to_thread(again.wait_ready, READY_S_MAX)
    after = await rig.feed(20, ttl_ms=600_000)
    await rig.watch.until_answered([*sources, *after], READY_S_MAX)
    case.recovery_s = recoveries_s(passages(rig.watch, (MODEL,)), lanes_of(again), ended_ms)
    case.judge(await rig.watch.settled(30), len(sources) + len(after))
    assert code != 0 and "the engine is hung" in worker.said()
    decided = [Decision.from_bytes(each.value) for each in rig.watch.of(DECISIONS)]
    hung = [each for each in decided if "failed:hung" in {attempt.outcome for attempt in each.route.attempts}]
    answered = [each for each in decided if each.model is not None]
    assert hung and len(answered) > 20, "the first 20 were answered before it hung; what is answered beyond, by the next life"
