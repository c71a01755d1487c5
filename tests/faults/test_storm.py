"""F9: a worker joins or leaves every few seconds; what is asked elsewhere again is still decided once."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request

import pytest

from tests.faults.case import Case
from tests.faults.stop_points import Rig, asleep, fired
from tests.support.feed import feeding
from tests.support.processes import Running

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F9")]

CHANGES = 12
EVERY_S = 5.0
PER_S = 60
SCRIPT = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 100})}  # so that something is always being asked
ANSWERS = re.compile(r"^trading_llm_answer_seconds_count\S* (\S+)$", re.MULTILINE)


def answers(worker: Running) -> int:
    """How many answers its engine has given, by its own count."""
    with urllib.request.urlopen(f"{worker.url}/metrics", timeout=5) as page:
        return int(sum(map(float, ANSWERS.findall(page.read().decode()))))


async def test_workers_that_come_and_go(wired: Rig, case: Case) -> None:
    wired.start("router")
    staying = wired.start("worker", **SCRIPT)
    case.tried, guest, given, claims = CHANGES, None, 0, 0
    async with feeding(wired.bootstrap, PER_S, label=wired.label) as fed:
        for change in range(CHANGES):
            if guest is None:
                guest = await asyncio.to_thread(wired.start, "worker", 1 + change % 3, **SCRIPT)
            else:
                given += answers(guest)
                await asyncio.to_thread(guest.stop)
                assert "worker.stopped" in guest.said(), "it did not leave in peace"
                got = guest.said().count("lane.claimed ")
                claims, case.fired, guest = claims + got, case.fired + 2 * bool(got), None  # it came, and it went
            await wired.go_on(EVERY_S)
    await wired.watch.until_answered(fed.acknowledged)
    given += answers(staying)
    verdict = await wired.watch.settled(30)
    thrown = given - len(fed.acknowledged)
    case.figures = {"lanes claimed": claims + staying.said().count("lane.claimed "), "answers": given}
    case.figures["thrown away, at least %"] = round(100 * max(0, thrown) / given, 2)
    case.judge(verdict, len(fed.acknowledged))


async def test_a_rebalance_in_the_middle_of_a_claim_leaves_no_lane_behind(rig: Rig, case: Case) -> None:
    rig.start("router")
    claimant = rig.launch("worker", TRADING_LLM_STOP_POINTS="claim.after_offset=stop@1")
    sources = await rig.feed(60)
    await rig.watch.until(lambda: asleep(claimant), "it stops in a claim")
    guest = rig.launch("worker", ordinal=1)  # so that the first thing it hears when it wakes is that its lanes move
    await rig.watch.until(lambda: "worker.started" in guest.said(), "another one has joined")
    await rig.go_on(1.0)
    claimant.resume()
    await rig.watch.until_answered(sources)
    await rig.watch.until_answered(later := await rig.feed(60))
    case.fired = fired(claimant, "claim.after_offset")
    case.judge(await rig.watch.settled(30), len(sources) + len(later))
    assert "was claimed elsewhere" not in claimant.said(), "a lane that it had given up went on, against its own successor"
