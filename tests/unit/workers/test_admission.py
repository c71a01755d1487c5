"""The engine is given enough to be busy and no more, live before replayed, and a slot always comes back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from workers.admission import GATHER_S, Admission
from workers.depth import FIRST, STEPS_MIN
from workers.engine import LIVE, REPLAY, Priority
from workers.vitals import Vitals

pytestmark = pytest.mark.unit


class Told:
    """What the engine says of itself."""

    def __init__(self) -> None:
        self.kv_use: float | None = 0.0
        self.steps = self.hungry_steps = 0

    def __call__(self) -> Vitals:
        return Vitals(time.monotonic(), kv_use=self.kv_use, steps=self.steps, hungry_steps=self.hungry_steps)


def admission(concurrency: int, told: Told | None = None) -> Admission:
    return Admission(concurrency, told or Told())


async def test_room_is_what_is_free() -> None:
    own = admission(4)
    assert await own.room() == 4 * FIRST
    async with own.slot():
        assert await own.room() == 4 * FIRST - 1
    assert await own.room() == 4 * FIRST


async def test_without_room_a_lane_waits_until_an_answer_is_there() -> None:
    own = admission(1)
    release = asyncio.Event()
    holders = [asyncio.create_task(hold(own, release)) for _ in range(int(FIRST))]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(own.room()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(each.done() for each in waiting)
    release.set()
    assert min(await asyncio.wait_for(asyncio.gather(*waiting), 5)) >= 1
    await asyncio.gather(*holders)


async def test_room_beside_a_full_engine_is_gathered_for_a_moment_and_else_given_at_once() -> None:
    own, releases = admission(4), [asyncio.Event() for _ in range(8)]
    holders = [asyncio.create_task(hold(own, each)) for each in releases]
    await asyncio.sleep(0)
    assert own.crowded() and own.in_flight == 4 * FIRST
    reads = asyncio.create_task(own.room())
    releases[0].set()
    await asyncio.sleep(GATHER_S / 5)
    assert not reads.done(), "the engine has enough: others may come free"
    for each in releases[1:4]:
        each.set()
    assert await asyncio.wait_for(reads, GATHER_S / 2) == 4, "the engine has no more than it computes at once"
    assert not own.crowded()
    await ended(holders)


async def test_room_that_nobody_joins_is_given_when_the_moment_is_over() -> None:
    own, releases = admission(4), [asyncio.Event() for _ in range(8)]
    holders = [asyncio.create_task(hold(own, each)) for each in releases]
    await asyncio.sleep(0)
    releases[0].set()
    began_s = time.monotonic()
    assert await asyncio.wait_for(own.room(), 5) == 1
    assert time.monotonic() - began_s >= 0.9 * GATHER_S, "it was waited for others"
    await ended(holders)


async def test_while_room_is_gathered_nobody_lacks_it() -> None:
    told = Told()
    own, releases = admission(4, told), [asyncio.Event() for _ in range(8)]
    holders = [asyncio.create_task(hold(own, each)) for each in releases]
    await asyncio.sleep(0)
    releases[0].set()
    await asyncio.sleep(0.01)
    reads = asyncio.create_task(own.room())
    await asyncio.sleep(0.01)
    own.adapt()
    await asyncio.sleep(0.01)
    told.steps = told.hungry_steps = STEPS_MIN
    own.adapt()
    assert not reads.done() and own.depth == 4 * FIRST
    await ended([*holders, reads])


async def test_replayed_questions_make_no_crowd_to_live_lanes() -> None:
    own, never = admission(4), asyncio.Event()
    replayed = [asyncio.create_task(hold(own, never, REPLAY)) for _ in range(8)]
    await asyncio.sleep(0)
    assert own.crowded(REPLAY) and not own.crowded(LIVE)
    rooms = [asyncio.create_task(own.room()) for _ in range(8)]
    await asyncio.sleep(0)
    assert [each.done() and each.result() for each in rooms] == [8] * 8
    await ended(replayed)


async def test_no_more_than_its_depth_is_in_flight_at_once_and_who_came_first_goes_first() -> None:
    own, now, most, order = admission(2), 0, 0, list[int]()

    async def ask(number: int) -> None:
        nonlocal now, most
        async with own.slot():
            order.append(number)
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(ask(number) for number in range(50)))
    assert most == 2 * FIRST
    assert order == [*range(50)]
    assert (await own.room(), own.in_flight) == (2 * FIRST, 0)


async def test_a_question_that_is_taken_back_gives_its_slot_back() -> None:
    own, never = admission(1), asyncio.Event()
    tasks = [asyncio.create_task(hold(own, never)) for _ in range(10)]  # some hold a slot, some wait for one
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await asyncio.wait_for(own.room(), 5) == FIRST


async def test_a_question_that_is_taken_back_as_its_turn_comes_passes_it_on() -> None:
    own, first, never, release = admission(1), asyncio.Event(), asyncio.Event(), asyncio.Event()
    holders = [asyncio.create_task(hold(own, each)) for each in (first, never)]
    await asyncio.sleep(0)
    given, behind = asyncio.create_task(hold(own, never)), asyncio.create_task(hold(own, release))
    await asyncio.sleep(0)
    first.set()
    await asyncio.sleep(0)
    given.cancel()  # it has the slot, and does not know it yet
    release.set()
    await asyncio.wait_for(behind, 5)
    await ended([*holders, given])
    assert (await own.room(), own.in_flight) == (FIRST, 0)


async def test_a_replayed_question_takes_no_live_ones_slot_and_waits_while_live_ones_fill_the_engine() -> None:
    own, never = admission(4), asyncio.Event()
    replayed = [asyncio.create_task(hold(own, never, REPLAY)) for _ in range(100)]
    await asyncio.sleep(0)
    assert own.in_flight == 4 * FIRST, "without live questions it is theirs"
    assert await own.room() == 4 * FIRST
    live = [asyncio.create_task(hold(own, never)) for _ in range(4)]
    await asyncio.sleep(0)
    assert (own._held[LIVE], own._held[REPLAY]) == (4, 4 * FIRST)
    assert (own.live, own.turns) == (4, 1), "whether a live question waits, live ones alone say"
    for task in replayed[: int(4 * FIRST)]:
        task.cancel()
    await asyncio.sleep(0.01)
    assert (own._held[LIVE], own._held[REPLAY]) == (4, 0), "the gate is shut while live ones fill it"
    for task in live:
        task.cancel()
    await asyncio.sleep(0.01)
    assert own._held[REPLAY] == 3, "a live question came a moment ago: a place stays free for the next"
    await ended(replayed)


@pytest.mark.parametrize("kv_use", [None, 0.9])
async def test_the_gate_opens_by_itself_once_the_cache_is_known_to_be_free(kv_use: float | None) -> None:
    told = Told()
    own = admission(4, told)
    told.kv_use = kv_use
    reads = asyncio.create_task(own.room(REPLAY))
    asks = asyncio.create_task(hold(own, asyncio.Event(), REPLAY))
    await asyncio.sleep(0.01)
    own.adapt()
    await asyncio.sleep(0.01)
    assert not reads.done() and own.in_flight == 0
    told.kv_use = 0.1
    own.adapt()
    assert await asyncio.wait_for(reads, 5) >= 1
    assert own.in_flight == 1
    await ended([asks])


async def test_a_depth_that_grows_lets_those_in_who_wait() -> None:
    told, never = Told(), asyncio.Event()
    own = admission(4, told)
    tasks = [asyncio.create_task(hold(own, never)) for _ in range(100)]
    await asyncio.sleep(0)
    own.adapt()
    told.steps, told.hungry_steps = STEPS_MIN, STEPS_MIN
    own.adapt()
    assert own.in_flight == own.depth == 4 * FIRST + 1
    assert own.turns == own.depth / 4
    await ended(tasks)


@pytest.mark.parametrize("reads_on", [False, True])
async def test_it_grows_only_where_somebody_waits_for_room(reads_on: bool) -> None:
    told, never = Told(), asyncio.Event()
    own = admission(4, told)
    # A single lane reads no more than there is room for: nobody waits for a slot.
    tasks = [asyncio.create_task(hold(own, never)) for _ in range(int(4 * FIRST))]
    await asyncio.sleep(0)
    reading = [asyncio.create_task(own.room())] if reads_on else []
    await asyncio.sleep(0)
    own.adapt()
    await asyncio.sleep(0)
    told.steps, told.hungry_steps = STEPS_MIN, STEPS_MIN
    own.adapt()
    assert own.depth == 4 * FIRST + reads_on
    await ended([*tasks, *reading])


async def ended(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def hold(own: Admission, release: asyncio.Event, priority: Priority = LIVE) -> None:
    async with own.slot(priority):
        await release.wait()
