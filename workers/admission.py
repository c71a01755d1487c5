"""How much the engine is given at once: live first, enough to keep it busy, and replays only into what is left."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from workers.depth import Depth
from workers.engine import LIVE, REPLAY, Priority
from workers.replay_gate import Load, replay_room
from workers.vitals import Vitals

GATHER_S = 0.1  # the longest that a freed slot beyond what the engine computes at once waits for others


class Admission:
    """Slots for questions that the engine has; lanes read more only while some are free.

    A replayed question never takes a live one's slot: the engine may have both at once, and computes the live ones first.
    """

    def __init__(self, concurrency: int, vitals: Callable[[], Vitals], clock: Callable[[], float] = time.monotonic) -> None:
        self._concurrency, self._vitals, self._clock = concurrency, vitals, clock
        self._depth = Depth(concurrency)
        self._held: dict[Priority, int] = {LIVE: 0, REPLAY: 0}
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {LIVE: deque(), REPLAY: deque()}
        self._live_came_s = -math.inf
        self._wanted = False  # whether a live question, or a lane that would read one, had to wait since the last look
        self._freed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many questions the engine has, replayed ones too."""
        return sum(self._held.values())

    @property
    def live(self) -> int:
        """How many of them are live."""
        return self._held[LIVE]

    @property
    def depth(self) -> int:
        """How many live ones it may have at once."""
        return self._depth.questions

    @property
    def turns(self) -> float:
        """How many live questions there are for each of the engine's places; above 1 some of them wait there."""
        return self.live / self._concurrency

    def crowded(self, priority: Priority = LIVE) -> bool:
        """Whether a question of this kind has to wait in the engine: it has more than it computes at once that go before.

        To live ones the replayed make no crowd, since the engine computes live ones first.
        """
        return (self.live if priority == LIVE else self.in_flight) > self._concurrency

    async def room(self, priority: Priority = LIVE) -> int:
        """How many such questions may be read next, at least 1; waits until the engine has room for one.

        In a crowded engine the room is gathered for a moment: who is given it reads several at once, which are answered at about
        the same time and written together.
        """
        await self._some(priority)
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                while self.crowded(priority):
                    await self._change()
        return await self._some(priority)  # again: meanwhile another lane may have taken it

    async def _some(self, priority: Priority) -> int:
        while (free := self._free(priority)) < 1:
            self._wanted |= priority == LIVE
            await self._change()
        return free

    async def _change(self) -> None:
        self._freed.clear()
        await self._freed.wait()

    @asynccontextmanager
    async def slot(self, priority: Priority = LIVE) -> AsyncIterator[None]:
        """Hold one of the engine's slots; who came first gets it first, among live and among replayed questions."""
        await self._enter(priority)
        try:
            yield
        finally:
            self._leave(priority)

    def adapt(self) -> None:
        """Look at the engine again; call it a few times a second: what it says opens the gate for replays, too."""
        self._depth.adapt(self._vitals(), wanted=self._wanted or bool(self._waiting[LIVE]))
        self._wanted = False
        self._pass_on()

    def _free(self, priority: Priority) -> int:
        if priority == LIVE:
            return self._depth.questions - self._held[LIVE]
        now_s = self._clock()
        live = self._held[LIVE] + len(self._waiting[LIVE])
        load = Load(live, self._held[REPLAY], now_s - self._live_came_s)
        return replay_room(load, self._concurrency, self._depth.questions, self._vitals(), now_s)

    async def _enter(self, priority: Priority) -> None:
        if priority == LIVE:
            self._live_came_s = self._clock()
        waiting = self._waiting[priority]
        if not waiting and self._free(priority) > 0:
            self._held[priority] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(priority)  # it was given its slot in the same turn of the loop
            with suppress(ValueError):
                waiting.remove(turn)
            raise

    def _leave(self, priority: Priority) -> None:
        self._held[priority] -= 1
        self._pass_on()

    def _pass_on(self) -> None:
        for priority, waiting in self._waiting.items():  # live first
            while waiting and self._free(priority) > 0:
                turn = waiting.popleft()
                if not turn.done():
                    self._held[priority] += 1
                    turn.set_result(None)
        self._freed.set()
