"""When a worker may say that routers know of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from backbone.heartbeat import Heartbeats
from backbone.settings import Settings
from schemas.status import Heartbeat, WorkerState

pytestmark = pytest.mark.unit

NOBODY = Settings(redis_url="redis://127.0.0.1:1/0")  # no port that anybody listens on
READY = Heartbeat(process="w0", model="phi3", state=WorkerState.READY, at_ms=1, started_at_ms=1)


async def test_where_there_is_no_redis_no_router_needs_to_have_read_of_it() -> None:
    heartbeats = Heartbeats(NOBODY)
    assert not heartbeats.seen_ready, "nothing was written yet"
    with suppress(TimeoutError):
        async with asyncio.timeout(0.8):
            await heartbeats.beat(lambda: READY)
    assert heartbeats.seen_ready
    await heartbeats.close()
