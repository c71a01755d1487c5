"""Reads everything that a run writes, while it runs: the logs that a verdict is made from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from backbone import topics
from backbone.lanes import read_committed
from backbone.progress import Mark
from backbone.scan import Place, Scan, scanning
from backbone.settings import Settings
from backbone.topics import Planned
from schemas.headers import SRC, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import Side
from tests.support import second_judge
from tests.support.weights import WRONG_SUM, wrong_sum
from trading_llm.fault import Found
from trading_llm.standing import Offsets
from trading_llm.verdict import Logs, Verdict, judge

OPEN_S_MAX = 5.0
SECOND_JUDGE = "second judge"
DIFFERS = "judges differ: the second judge says otherwise"

__all__ = ["SECOND_JUDGE", "Verdict", "Watch", "watching"]


class Watch:
    """A committed reader of one side of a pipeline, from its topics' beginnings on."""

    def __init__(self, settings: Settings, models: Sequence[str], planned: Sequence[Planned], scan: Scan, side: Side) -> None:
        self.settings, self._scan, self._planned, self._side = settings, scan, planned, side
        self._models = tuple(models)
        self._seen: dict[str, list[Record]] = {each.name: [] for each in planned}
        self.answered: set[Source] = set()

    def of(self, topic: str) -> tuple[Record, ...]:
        """The records of a topic so far, in each partition in the log's order."""
        return tuple(self._seen[topic])

    async def read(self) -> None:
        """Take in what is there now, at most some of it."""
        for record in await self._scan.read():
            self._seen[record.source.topic].append(record)
            if record.source.topic in (self._side.decisions, self._side.dead_letters):
                self.answered.add(Source.parse(header_text(record.headers, SRC) or ""))

    async def until(self, holds: Callable[[], bool], what: str, s_max: float = 60.0) -> None:
        """Read until that holds; AssertionError, naming it, where it does not within so many seconds."""
        deadline = time.monotonic() + s_max
        while not holds():
            assert time.monotonic() < deadline, f"not within {s_max:.0f} s: {what}"
            await self.read()

    async def until_answered(self, sources: Iterable[Source], s_max: float = 60.0) -> None:
        """Read until each of these contexts has an outcome."""
        wanted = set(sources)
        deadline = time.monotonic() + s_max
        while left := wanted - self.answered:
            assert time.monotonic() < deadline, f"{len(left)} contexts have no outcome after {s_max:.0f} s: {sorted(left)[:5]}"
            await self.read()

    async def settled(self, s_max: float = 60.0) -> Verdict:
        """The verdict once every context has its outcome, no transaction is open and the marks have come up to them.

        What holds is read again by a second reader: what this one saw, all along, must be the beginning of that. Where there
        is a second judge, it must come to the same.
        """
        deadline = time.monotonic() + s_max
        found = await self.verdict()
        while not found.holds and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            found = await self.verdict()
        return await self._heard_twice(await self._verdict_of_another() if found.holds else found)

    async def verdict(self) -> Verdict:
        """The verdict on everything up to now."""
        committed, ends = await self._committed(), await self._scan.ends()
        until_s = time.monotonic() + OPEN_S_MAX
        while await self._scan.behind(ends) and time.monotonic() < until_s:
            await self.read()
        open_places = await self._scan.behind(ends)
        return await self._judged(self._seen, Offsets(committed, ends=await self._scan.ends(), open_places=open_places))

    async def _heard_twice(self, found: Verdict) -> Verdict:
        said = await asyncio.to_thread(second_judge.opinion, self.settings.kafka_bootstrap)
        if said is None or self._side is Side.REPLAYS:  # of which it knows nothing
            return found
        counted = {**found.counted, SECOND_JUDGE: said}
        agrees = said == (second_judge.HOLDS if found.holds else second_judge.FAULTS)
        differs = {} if agrees else {DIFFERS: Found(1, [said])}
        return replace(found, counted=counted, faults={**found.faults, **differs})

    async def marks(self) -> dict[Place, Mark]:
        """What each lane's group has committed."""
        return {place: Mark.parse(*at) for place, at in (await self._committed()).items()}

    async def _verdict_of_another(self) -> Verdict:
        committed, ends = await self._committed(), await self._scan.ends()
        logs: dict[str, list[Record]] = {each.name: [] for each in self._planned}
        async with scanning(self.settings, self._planned) as second:
            async for records in second.read_to(ends):
                for record in records:
                    logs[record.source.topic].append(record)
        seen = tuple(record for records in self._seen.values() for record in records)
        return await self._judged(logs, Offsets(committed, ends=ends), seen)

    async def _judged(self, logs: Mapping[str, Sequence[Record]], offsets: Offsets, seen: tuple[Record, ...] = ()) -> Verdict:
        offsets = replace(offsets, committed_later=await self._committed(), models=self._models)
        side = self._side
        hops = tuple(record for model in self._models for record in logs[side.waiting(model)])
        contexts, decisions, letters = (tuple(logs[topic]) for topic in (side.contexts, side.decisions, side.dead_letters))
        # In a thread: a hundred thousand contexts take longer than a request of the reader may.
        found = await asyncio.to_thread(judge, Logs(contexts, hops, decisions, letters, seen=seen, offsets=offsets, side=side))
        if not (differs := wrong_sum(contexts, (*decisions, *letters))):
            return found
        return replace(found, faults={**found.faults, WRONG_SUM: Found(1, [differs])})

    async def _committed(self) -> dict[Place, tuple[int, str]]:
        return await read_committed(self.settings, self._planned)


@asynccontextmanager
async def watching(bootstrap: str, models: Sequence[str], side: Side = Side.LIVE) -> AsyncIterator[Watch]:
    """A watch that has begun, and ends."""
    settings = Settings(kafka_bootstrap=bootstrap)
    names = {side.contexts, side.decisions, side.dead_letters, *map(side.waiting, models)}
    planned = [each for each in topics.plan(models) if each.name in names]
    async with scanning(settings, planned) as scan:
        yield Watch(settings, models, planned, scan, side)
