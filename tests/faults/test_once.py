"""F2, F21: each context gets exactly one outcome, wherever a process is killed."""

from __future__ import annotations

import asyncio

import pytest

from backbone.stops import IN_A_LANE
from tests.faults.case import Case
from tests.faults.recovery import lanes_of, passages, recoveries_s
from tests.faults.stop_points import MODEL, Rig, Room, fired

pytestmark = pytest.mark.faults

OTHER: dict[Room, Room] = {"router": "worker", "worker": "router"}


@pytest.mark.fault("F2")
@pytest.mark.parametrize("name", sorted(IN_A_LANE))
@pytest.mark.parametrize("room", ["router", "worker"])
async def test_killed_at_a_stop_point(rig: Rig, case: Case, room: Room, name: str) -> None:
    other = rig.launch(OTHER[room])
    at_start = name.startswith("claim.")
    if at_start:
        await asyncio.to_thread(other.wait_ready)
    sources = await rig.feed(60) if at_start else []
    # Lanes poll also while nothing comes, and it must be ready before.
    visit = 1 if at_start else 20 if name == "read.after_poll" else 2
    victim = rig.launch(room, TRADING_LLM_STOP_POINTS=f"{name}=kill@{visit}")
    if not at_start:
        for process in (other, victim):
            await asyncio.to_thread(process.wait_ready)
    died = asyncio.create_task(rig.started_again(victim, room))
    if name == "revoke.inside":  # visited once when joining, and again when another one joins
        rig.launch(room, ordinal=1)
    sources += await rig.feed(60)
    while not died.done():  # so that its lanes have something to do when it dies
        sources += await rig.feed(10)
        await asyncio.sleep(0.05)
    code, killed_ms, again = await died
    await rig.watch.until_answered(sources)
    case.fired = fired(victim, name) if code == -9 else 0
    verdict = await rig.watch.settled(20)
    lanes = lanes_of(victim) | lanes_of(again)
    case.recovery_s = recoveries_s(passages(rig.watch, (MODEL,)), lanes, killed_ms)
    case.judge(verdict, len(sources))
    assert {each for each in verdict.statuses if each.startswith("dead:")} == set(), str(verdict)


@pytest.mark.long
@pytest.mark.fault("F21")
async def test_a_transaction_that_nobody_ends_holds_readers_up_only_until_its_time_is_over(rig: Rig, case: Case) -> None:
    rig.start("router")
    victim = rig.start("worker", TRADING_LLM_STOP_POINTS="lane.after_produce=kill@3")
    left = await rig.feed(60)
    assert victim.wait_exit() == -9
    case.fired = fired(victim, "lane.after_produce")
    told = await rig.feed(60, colour="red")  # the router's own outcomes, behind the open transaction in the same partitions
    await rig.watch.until_answered(told, 20)  # nobody has claimed the dead worker's lane: the broker ended it
    assert not set(left) <= rig.watch.answered
    rig.start("worker")
    await rig.watch.until_answered(left)
    case.judge(await rig.watch.settled(20), len(left) + len(told))
