"""F4: a process that slept through its session cannot write after its lane moved, and goes on."""

from __future__ import annotations

import asyncio

import pytest

from backbone.stops import IN_A_LANE
from tests.faults.case import Case
from tests.faults.stop_points import Rig, Room, asleep, fired

pytestmark = [pytest.mark.faults, pytest.mark.fault("F4")]

OTHER: dict[Room, Room] = {"router": "worker", "worker": "router"}
SOON = ("lane.after_produce", "lane.after_offsets", "claim.after_fence")
# Between begin and end: what it does next needs the lane.
INSIDE = ("lane.after_begin", "lane.after_produce", "lane.after_offsets", "lane.before_end")
POINTS = [*SOON, *(pytest.param(name, marks=pytest.mark.long) for name in sorted(IN_A_LANE) if name not in SOON)]


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("room", ["router", "worker"])
async def test_a_sleeper_cannot_write_after_its_lane_moved(rig: Rig, case: Case, room: Room, name: str) -> None:
    rig.start(OTHER[room])
    rig.start(room, ordinal=1)
    at_claim = name.startswith("claim")
    # Lanes poll also while nothing comes, and it must be ready before.
    visit = 1 if at_claim else 2 if name == "revoke.inside" else 12 if name == "read.after_poll" else 3
    # Without its own doubt about what took so long, so that it really tries to write.
    sure = {"TRADING_LLM_COMMIT_DOUBT_S": "60", "TRADING_LLM_CLAIM_S": "60"}
    sleeper = rig.launch(room, TRADING_LLM_STOP_POINTS=f"{name}=stop@{visit}", **sure)
    if not at_claim:
        await asyncio.to_thread(sleeper.wait_ready)
    if name == "revoke.inside":  # visited once when joining, and again when another one joins
        rig.launch(room, ordinal=2)
    sources = await rig.feed(100)
    await rig.watch.until(lambda: asleep(sleeper), f"{name} fires")
    case.fired = fired(sleeper, name)
    await rig.watch.until_answered(sources)  # by another one, once the sleeper's session is over
    sleeper.resume()
    later = await rig.feed(100)
    await rig.watch.until_answered(later)
    await asyncio.to_thread(sleeper.wait_ready)  # it is a member again, with lanes of its own
    verdict = await rig.watch.settled(20)
    case.figures = {"fenced": sleeper.said().count("was claimed elsewhere")}
    case.judge(verdict, len(sources) + len(later))
    assert sleeper.popen.poll() is None, "the sleeper goes on"
    assert name not in INSIDE or case.figures["fenced"], "the sleeper was not fenced"
