"""F20: yesterday is asked again while today goes on: both sides are faultless, and nothing of the one appears on the other."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from schemas.topic import DECISIONS, Side
from tests.faults.case import Case
from tests.faults.stop_points import MODEL, Rig
from tests.faults.test_wire import tails
from tests.support.feed import feeding
from tests.support.watch import watching

pytestmark = pytest.mark.faults

YESTERDAY, PER_S = 1_200, 40
BEFORE_S = 10.0
SCRIPT = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 100}), "TRADING_LLM_REPLAYS": "true"}
NO_TTL = {"ttl_ms": 600_000}


@pytest.mark.fault("F20")
async def test_yesterday_is_asked_again_while_today_goes_on(rig: Rig, case: Case, tmp_path: Path) -> None:
    rig.start("router", **SCRIPT)
    rig.start("worker", **SCRIPT)
    yesterday = await rig.feed(YESTERDAY, **NO_TTL)
    await rig.watch.until_answered(yesterday)
    ledger = tmp_path / "ledger"
    exported = await asyncio.to_thread(rig.pipeline.command, "ledger", "export", "--from", "10m", "--out", ledger)
    assert exported.returncode == 0, exported.stderr
    async with feeding(rig.bootstrap, PER_S, label=f"{rig.label}-before", **NO_TTL) as before:
        await rig.go_on(BEFORE_S)
    async with feeding(rig.bootstrap, PER_S, label=f"{rig.label}-during", **NO_TTL) as during:
        asked = ("replay", "run", "--source", ledger, "--engine", "infer", "--runs", tmp_path / "runs", "--json")
        replay = asyncio.create_task(asyncio.to_thread(rig.pipeline.command, *asked))
        while not replay.done():
            await rig.go_on(0.2)
    done = replay.result()
    assert done.returncode == 0, done.stderr
    live = [*before.acknowledged, *during.acknowledged]
    await rig.watch.until_answered(live)
    case.fired = json.loads(done.stdout)["decisions"] // YESTERDAY
    case.figures = tails(rig, before.acknowledged, "before") | tails(rig, during.acknowledged, "during")
    async with watching(rig.bootstrap, (MODEL,), Side.REPLAYS) as replays:
        replayed = await replays.settled(30)
        assert replayed.holds, str(replayed)
        assert len(replays.of(Side.REPLAYS.decisions)) == YESTERDAY
    verdict = await rig.watch.settled(30)
    assert len(rig.watch.of(DECISIONS)) == YESTERDAY + len(live), "none of them is a replay's"
    case.judge(verdict, len(live))
