"""F5: a process that sleeps for less than its session loses nothing, not even its place in the group."""

from __future__ import annotations

import pytest

from tests.faults.case import Case
from tests.faults.stop_points import Rig
from tests.support.feed import feeding
from tests.support.kafka import ProxiedBroker
from tests.support.proxy import JOIN_GROUP

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F5")]

PAUSE_S = 3.0  # of a session of 6 s
PAUSES = 3  # of each
PER_S = 50


async def test_a_short_pause_moves_no_lane(wired: Rig, proxied: ProxiedBroker, case: Case) -> None:
    processes = [wired.start("router"), wired.start("worker")]
    case.tried = PAUSES * len(processes)
    async with feeding(wired.bootstrap, PER_S, label=wired.label) as fed:
        await wired.go_on(2)
        joins = proxied.wire.requests[JOIN_GROUP]
        for process in processes * PAUSES:
            process.pause()
            await wired.go_on(PAUSE_S)
            process.resume()
            case.fired += 1
            await wired.go_on(1)
        joins = proxied.wire.requests[JOIN_GROUP] - joins
    await wired.watch.until_answered(fed.acknowledged)
    case.figures = {"joins after the start": joins, "lanes lost": sum(each.said().count("lane.lost ") for each in processes)}
    case.judge(await wired.watch.settled(20), len(fed.acknowledged))
    assert joins == 0, "a pause shorter than the session made the group rebalance"
