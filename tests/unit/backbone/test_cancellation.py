"""A cancellation that the library's waiting swallowed is heard at the next step."""

from __future__ import annotations

import asyncio
import sys

import pytest

from backbone.cancellation import heed

pytestmark = pytest.mark.unit


async def test_a_cancellation_that_came_together_with_a_result_is_heard() -> None:
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    steps: list[str] = []

    async def work() -> None:
        await asyncio.wait_for(answered, 60)
        steps.append("answered")
        heed()
        steps.append("went on")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    answered.set_result(None)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    # Where the library hears it by itself (from Python 3.12 on) there is nothing left to find.
    assert steps == (["answered"] if sys.version_info < (3, 12) else [])


async def test_without_one_nothing_happens() -> None:
    async def work() -> str:
        heed()
        return "went on"

    assert await asyncio.create_task(work()) == "went on"


async def test_a_time_out_that_is_over_is_none() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    heed()
