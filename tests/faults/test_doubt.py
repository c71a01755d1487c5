"""F6: a commit whose request or reply is held back, and let go while the next transaction is open, repeats and loses nothing."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from schemas.source import Source
from tests.faults.case import Case
from tests.faults.recovery import every_lane
from tests.faults.stop_points import MODEL, Rig
from tests.support.kafka import ProxiedBroker
from tests.support.proxy import END_TXN, Request, Way

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F6")]

DOUBTS = 50
SEED = 6
ONE_IN = 12  # commits that are held back
FED_AT_ONCE = 20
LANES = len(every_lane((MODEL,)))  # each is claimed once to begin with
PAUSE_S = 0.1
DOUBTS_WITHIN_S = 120.0
LOST = re.compile(r"lane\.lost .*error=transaction on")


class Holding:
    """Holds back some commits by chance, half of them as requests and half as replies, until so many were."""

    def __init__(self, seed: int, most: int) -> None:
        self._drawn, self._left = random.Random(seed), most

    def __call__(self, request: Request) -> Way | None:
        if request.api_key != END_TXN or not self._left or self._drawn.randrange(ONE_IN):
            return None
        self._left -= 1
        return "request" if self._left % 2 else "reply"


async def test_commits_in_doubt_are_written_once(wired: Rig, proxied: ProxiedBroker, case: Case) -> None:
    processes = [wired.start("router"), wired.start("worker")]
    wire = proxied.wire
    case.tried, case.seed = DOUBTS, SEED
    wire.hold = Holding(SEED, DOUBTS + 10)  # some of the last are still in doubt when enough were seen
    sources: list[Source] = []
    deadline = asyncio.get_running_loop().time() + DOUBTS_WITHIN_S
    while (doubts := sum(len(LOST.findall(each.said())) for each in processes)) < DOUBTS:
        assert asyncio.get_running_loop().time() < deadline, f"{doubts} doubts"
        sources += await wired.feed(FED_AT_ONCE)
        await wired.watch.read()
        await asyncio.sleep(PAUSE_S)
    wire.hold = lambda _request: None
    await wired.watch.until_answered(sources, 60)
    verdict = await wired.watch.settled(30)
    said = [each.said() for each in processes]
    case.fired = sum(len(LOST.findall(each)) for each in said)
    lost = sum(each.count("lane.lost ") for each in said)
    replaced = sum(each.count("lane.claimed ") for each in said) - LANES
    case.figures = {"held as request": wire.held["request"], "held as reply": wire.held["reply"], "producers replaced": replaced}
    case.figures |= {f"let go, {way}": count for way, count in wire.released.items()}
    case.judge(verdict)
    assert wire.released["request"] > 0, "no late commit ever came back"
    assert replaced == lost, "a producer was used again after a doubt, or a lane claimed again without one"
