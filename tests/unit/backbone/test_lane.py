"""When a lane writes: at once, or together with others, but never later than it was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from backbone.lane import Lane, Place
from backbone.progress import Mark
from backbone.settings import Settings
from schemas.record import Output, Record
from schemas.result import Result
from schemas.source import Source

pytestmark = pytest.mark.unit

LONG_S = 5.0  # nobody waits so long: what ends before was let go by something else


class Wire:
    """A writer that only notes the offsets of each transaction."""

    def __init__(self) -> None:
        self.wrote: list[list[int]] = []
        self._wrote = asyncio.Event()

    async def commit(self, results: Sequence[Result], mark: Callable[[], Mark], notices: Sequence[Output] = ()) -> None:
        mark()
        self.wrote.append([each.record.source.offset for each in results])
        self._wrote.set()

    async def first(self) -> float:
        """When something was written, by the clock."""
        async with asyncio.timeout(2 * LONG_S):
            await self._wrote.wait()
        return time.monotonic()


@asynccontextmanager
async def lane(records: int) -> AsyncIterator[tuple[Lane, Wire, list[Result]]]:
    """A lane that took up so many records, what it writes, and their results."""
    made = Lane(Place("group", "contexts", 0), None, Settings(), count_claim=False)
    wire = made._writer = Wire()  # type: ignore[assignment]
    made.state.start(Mark(0), 100, 0.0)
    read = [Record(Source("contexts", 0, each), f"key {each}".encode(), b"value", (), 0) for each in range(records)]
    made.state.read(read, 0.0)
    made.state.deliver(records)
    writing = asyncio.create_task(made.write())
    try:
        yield made, wire, [Result(each, (Output("decisions", each.key, b"value", ()),)) for each in read]
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def test_results_that_may_wait_go_together_and_no_later_than_the_first_may() -> None:
    async with lane(3) as (own, wire, (first, second, _)):
        began_s = time.monotonic()
        own.finish(first, 0.2)
        await asyncio.sleep(0.05)
        own.finish(second, LONG_S)
        assert wire.wrote == []
        assert await wire.first() - began_s < LONG_S
        assert wire.wrote == [[0, 1]]


async def test_a_result_that_may_not_wait_takes_the_others_along_at_once() -> None:
    async with lane(3) as (own, wire, (first, second, _)):
        began_s = time.monotonic()
        own.finish(first, LONG_S)
        await asyncio.sleep(0.01)
        own.finish(second)
        assert await wire.first() - began_s < LONG_S
        assert wire.wrote == [[0, 1]]


async def test_nothing_waits_where_no_other_result_is_to_come() -> None:
    async with lane(2) as (own, wire, (first, second)):
        began_s = time.monotonic()
        own.finish(first, LONG_S)
        await asyncio.sleep(0.01)
        own.finish(second, LONG_S)
        assert await wire.first() - began_s < LONG_S
        assert wire.wrote == [[0, 1]]


async def test_nothing_waits_in_a_lane_that_takes_up_nothing_more() -> None:
    async with lane(2) as (own, wire, (first, _)):
        began_s = time.monotonic()
        own.finish(first, LONG_S)
        await asyncio.sleep(0.01)
        own.close_intake()
        assert await wire.first() - began_s < LONG_S
        assert wire.wrote == [[0]]


async def test_a_notice_is_written_without_waiting_for_results() -> None:
    async with lane(2) as (own, wire, (first, _)):
        began_s = time.monotonic()
        own.finish(first, LONG_S)
        await asyncio.sleep(0.01)
        assert await own.announce((Output("control", b"key", b"notice", ()),))
        assert time.monotonic() - began_s < LONG_S
        assert wire.wrote[0] == []
