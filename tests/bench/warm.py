"""Warms a broker up: after a minute its compiler has been through it, and it does the same work in half the time."""

from __future__ import annotations

from tests.bench.chains import OURS
from tests.bench.ground import Ground, stop_all
from tests.bench.load import WARM_UP_RATE, Line


async def warm_broker(ground: Ground, seconds: float, first: int) -> int:
    """Let the pipeline, with scripted engines, work for so long; answers the next free number of a context."""
    processes = OURS.start(ground, "warm")
    try:
        async with Line(ground.settings, OURS.way_in, OURS.way_out) as line:
            return await line.warm_up(first, int(seconds * WARM_UP_RATE))
    finally:
        stop_all(processes)
