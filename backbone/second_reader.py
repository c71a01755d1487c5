"""A reader behind another one: it takes what the first leaves, and what ends it does not end their process."""

from __future__ import annotations

import asyncio

from backbone import clients, telemetry
from backbone.cancellation import heed
from backbone.errors import Fatal
from backbone.reader import Reader, Work
from backbone.settings import Settings

LOOK_S = 0.2  # how soon it begins after the first one is ready
# The first two of a record that ends its readers come soon; a lane that refuses to start for want of an offset needs a person.
PAUSE_S, PAUSE_S_MAX = 1.0, 60.0


class SecondReader:
    """Reads a topic in lanes for as long as its process lives, begun again after whatever ends it, with growing pauses.

    Each beginning is a new owner to its lanes, whose claim counts: so a record on which it always fails ends as undecidable.
    """

    def __init__(self, settings: Settings, group: str, topic: str, work: Work, first: Reader, *, leave: bool) -> None:
        # No process ends later for what may as well be asked again.
        self._settings = settings.model_copy(update={"drain_s": settings.revoke_drain_s})
        self._group, self._topic, self._work, self._first = group, topic, work, first
        self._leave = leave  # the group as it ends, so that others have its lanes at once
        self._reader: Reader | None = None
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin once the first reader is ready; nobody waits for this one."""
        self._keeping = asyncio.create_task(self._keep())
        self._keeping.add_done_callback(self._ended)

    def fail(self, error: BaseException) -> None:
        """What it reads cannot be gone on with: it begins again."""
        if self._reader is not None:
            self._reader.fail(error)

    async def stop(self) -> None:
        """Give the lanes back; what is held has as long to be finished as when partitions move."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        await asyncio.wait([self._keeping], timeout=clients.STOP_S_MAX)
        if self._reader is not None:
            if self._first.failed.done():  # what was read here may be why, and stays counted
                self._reader.fail(Fatal("its process ends"))
            await self._reader.stop(leave=self._leave)

    async def _keep(self) -> None:
        pause_s = PAUSE_S
        while True:
            while not self._first.ready:
                heed()
                await asyncio.sleep(LOOK_S)
            self._reader = Reader(self._settings, self._group, self._topic, self._work, self._first)
            self._reader.failed.add_done_callback(asyncio.Future.exception)  # looked at, also where `stop` came first
            error = await self._read(self._reader)
            telemetry.event("reader.ended", group=self._group, pause_s=f"{pause_s:g}", error=repr(error))
            await self._reader.stop(leave=self._leave)
            self._reader = None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _read(self, reader: Reader) -> BaseException | None:
        """Read until that cannot go on, and why."""
        try:
            await reader.start()
        except Fatal as fatal:
            reader.fail(fatal)
        await asyncio.wait([reader.failed])
        return reader.failed.exception()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._first.fail(error)
