"""Each context gets exactly one outcome, wherever a process is killed."""

from __future__ import annotations

import pytest

from backbone.stops import NAMES
from tests.faults.stop_points import Rig, Room, fired

pytestmark = pytest.mark.faults

OTHER: dict[Room, Room] = {"router": "worker", "worker": "router"}


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("room", ["router", "worker"])
async def test_killed_at_a_stop_point(rig: Rig, room: Room, name: str) -> None:
    rig.start(OTHER[room])
    at_start = name.startswith("claim.")
    victim = rig.launch(room, TRADING_LLM_STOP_POINTS=f"{name}=kill@{1 if at_start else 2}")
    if name == "revoke.inside":  # visited once when joining, and again when another one joins
        victim.wait_ready()
        rig.launch(room, ordinal=1)
    elif not at_start:
        victim.wait_ready()
    sources = await rig.feed(60)
    assert victim.wait_exit() == -9
    assert fired(victim, name) == 1, "a case whose stop point never fired proves nothing"
    rig.start(room)
    await rig.watch.until_answered(sources)
    verdict = await rig.watch.settled(20)
    assert verdict.holds, str(verdict)
    assert {each for each in verdict.statuses if each.startswith("dead:")} == set(), str(verdict)


async def test_a_transaction_that_nobody_ends_holds_readers_up_only_until_its_time_is_over(rig: Rig) -> None:
    rig.start("router")
    victim = rig.start("worker", TRADING_LLM_STOP_POINTS="lane.after_produce=kill@3")
    left = await rig.feed(60)
    assert victim.wait_exit() == -9
    assert fired(victim, "lane.after_produce") == 1
    told = await rig.feed(60, colour="red")  # the router's own outcomes, behind the open transaction in the same partitions
    await rig.watch.until_answered(told, 20)  # nobody has claimed the dead worker's lane: the broker ended it
    assert not set(left) <= rig.watch.answered
    rig.start("worker")
    await rig.watch.until_answered(left)
    verdict = await rig.watch.settled(20)
    assert verdict.holds, str(verdict)
