"""An answer waits for others only where that costs nobody anything; one lane at a time is given the engine's room."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.record import Record
from schemas.result import Result
from tests.unit.workers.test_ask import asker, replayed, tagged
from workers.admission import Admission
from workers.engine import LIVE, REPLAY, Priority
from workers.intake import IN_TIME_MS, WRITTEN_TOGETHER_S, Intake

pytestmark = pytest.mark.unit

PLENTY_MS = 60_000


@dataclass
class Told:
    """A lane that only notes what it is told."""

    told: list[tuple[Result, float]] = field(default_factory=list)

    def finish(self, result: Result, may_wait_s: float = 0.0) -> None:
        self.told.append((result, may_wait_s))


async def patience(record: Record, priority: Priority, *, crowd: Priority | None = None) -> float:
    """How long the answer to this may wait, while the engine has more of `crowd` than it computes at once."""
    own = asker()
    intake, lane = Intake(own, priority, pytest.fail), Told()  # type: ignore[arg-type]
    async with AsyncExitStack() as held:
        for _ in range(0 if crowd is None else 5):
            await held.enter_async_context(own.admission.slot(crowd))  # type: ignore[arg-type]
        await intake._decide(lane, record)  # type: ignore[arg-type]
    ((_, may_wait_s),) = lane.told
    return may_wait_s


async def test_an_answer_waits_for_others_only_where_live_questions_crowd_the_engine() -> None:
    asked = tagged(ttl_ms=PLENTY_MS)
    assert await patience(asked, LIVE) == 0
    assert await patience(asked, LIVE, crowd=REPLAY) == 0
    assert await patience(asked, LIVE, crowd=LIVE) == WRITTEN_TOGETHER_S


async def test_an_answer_whose_time_is_nearly_over_waits_for_no_other() -> None:
    assert await patience(tagged(ttl_ms=IN_TIME_MS - 1), LIVE, crowd=LIVE) == 0


async def test_a_replayed_one_always_waits_nobody_is_in_a_hurry() -> None:
    assert await patience(replayed(), REPLAY) == WRITTEN_TOGETHER_S


async def test_what_no_decision_describes_waits_for_no_other() -> None:
    unreadable = Record(tagged().source, b"key", b"{", (), 0)
    assert await patience(unreadable, LIVE, crowd=LIVE) == 0


async def test_one_lane_at_a_time_is_given_the_room() -> None:
    own = asker()
    intake = Intake(own, LIVE, pytest.fail)  # type: ignore[arg-type]
    with watched(own.admission) as asking:
        assert await asyncio.gather(*(intake.room() for _ in range(3))) == [8, 8, 8]
    assert max(asking) == 1


@contextmanager
def watched(admission: Admission) -> Iterator[list[int]]:
    """How many ask it for room at once, each time that one does."""
    plain, now, seen = admission.room, 0, list[int]()

    async def room(*asked: Any) -> int:
        nonlocal now
        now += 1
        seen.append(now)
        await asyncio.sleep(0)
        now -= 1
        return await plain(*asked)

    admission.room = room  # type: ignore[assignment,method-assign]
    yield seen
    admission.room = plain  # type: ignore[method-assign]
