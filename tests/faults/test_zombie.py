"""F4: a process that slept through its session cannot write after its lane moved, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from backbone.stops import NAMES
from tests.faults.case import Case
from tests.faults.stop_points import Rig, Room, fired
from tests.support.processes import Running

pytestmark = pytest.mark.faults

OTHER: dict[Room, Room] = {"router": "worker", "worker": "router"}


def asleep(process: Running) -> bool:
    """Whether it stands still, by SIGSTOP."""
    return "State:\tT" in Path(f"/proc/{process.pid}/status").read_text()


@pytest.mark.parametrize("name", ["lane.after_produce", "lane.after_offsets", "claim.after_fence"])
@pytest.mark.parametrize("room", ["router", "worker"])
async def test_a_sleeper_cannot_write_after_its_lane_moved(rig: Rig, room: Room, name: str) -> None:
    rig.start(OTHER[room])
    rig.start(room, ordinal=1)
    at_claim = name.startswith("claim")
    # Without its own doubt about what took so long, so that it really tries to write.
    sure = {"TRADING_LLM_COMMIT_DOUBT_S": "60", "TRADING_LLM_CLAIM_S": "60"}
    sleeper = rig.launch(room, TRADING_LLM_STOP_POINTS=f"{name}=stop@{1 if at_claim else 3}", **sure)
    if not at_claim:
        sleeper.wait_ready()
    sources = await rig.feed(100)
    await rig.watch.until(lambda: asleep(sleeper), f"{name} fires")
    assert fired(sleeper, name) == 1
    await rig.watch.until_answered(sources)  # by the other one, once the sleeper's session is over
    sleeper.resume()
    sources = await rig.feed(100)
    await rig.watch.until_answered(sources)
    sleeper.wait_ready()  # it is a member again, with lanes of its own
    verdict = await rig.watch.settled(20)
    assert verdict.holds, str(verdict)
    assert sleeper.popen.poll() is None, "the sleeper goes on"
    assert at_claim or "was claimed elsewhere" in sleeper.log.read_text(), "the sleeper was not fenced"
