"""F15: the real engine's own process is killed under its worker: what it held is answered once by the next life."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from tests.faults.case import Case
from tests.faults.recovery import lanes_of, passages, recoveries_s
from tests.faults.stop_points import MODEL, Rig

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F15"), pytest.mark.timeout(420)]

READY_S_MAX = 180.0
VLLM = {"TRADING_LLM_ENGINE": "vllm"}


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
