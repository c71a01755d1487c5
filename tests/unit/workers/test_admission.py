"""The engine is given enough to be busy and no more, and a slot always comes back."""

from __future__ import annotations

import asyncio

import pytest

from workers.admission import DEPTH, Admission

pytestmark = pytest.mark.unit


async def test_room_is_what_is_free() -> None:
    admission = Admission(4)
    assert await admission.room() == 4 * DEPTH
    async with admission.slot():
        assert await admission.room() == 4 * DEPTH - 1
    assert await admission.room() == 4 * DEPTH


async def test_without_room_a_lane_waits_until_an_answer_is_there() -> None:
    admission = Admission(1)
    release = asyncio.Event()
    holders = [asyncio.create_task(hold(admission, release)) for _ in range(int(DEPTH))]
    await asyncio.sleep(0)
    waiting = asyncio.create_task(admission.room())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    release.set()
    assert await asyncio.wait_for(waiting, 5) >= 1
    await asyncio.gather(*holders)


async def test_no_more_than_its_depth_is_in_flight_at_once() -> None:
    admission, now, most = Admission(2), 0, 0

    async def ask() -> None:
        nonlocal now, most
        async with admission.slot():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(ask() for _ in range(50)))
    assert most == 2 * DEPTH
    assert await admission.room() == 2 * DEPTH


async def test_a_question_that_is_taken_back_gives_its_slot_back() -> None:
    admission, never = Admission(1), asyncio.Event()
    tasks = [asyncio.create_task(hold(admission, never)) for _ in range(10)]  # some hold a slot, some wait for one
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await asyncio.wait_for(admission.room(), 5) == DEPTH


async def hold(admission: Admission, release: asyncio.Event) -> None:
    async with admission.slot():
        await release.wait()
