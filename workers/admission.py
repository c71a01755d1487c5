"""How much the engine is given at once: enough to keep it busy, no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Measured: 1.5 to 2 times what the engine computes at once reaches its full throughput; 1 times starves it, more only queues.
DEPTH = 2.0


class Admission:
    """Slots for questions that the engine has; lanes read more only while some are free."""

    def __init__(self, concurrency: int) -> None:
        self._depth = self._free = max(1, int(concurrency * DEPTH))
        self._slots = asyncio.Semaphore(self._free)
        self._given = asyncio.Condition()

    @property
    def in_flight(self) -> int:
        """How many questions the engine has."""
        return self._depth - self._free

    async def room(self) -> int:
        """How many questions may be read next, at least 1; waits until the engine has room for one."""
        async with self._given:
            await self._given.wait_for(lambda: self._free > 0)
            return self._free

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the engine's slots."""
        await self._slots.acquire()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
            self._slots.release()
            async with self._given:
                self._given.notify_all()
