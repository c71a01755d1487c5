"""Brings a running pipeline before a court: what lies on its topics, read in such an order that nothing in flight is blamed.

1. where `contexts` ends now; only what lies below is judged  2. those contexts  3. every output, until each has its outcome or
the time is up  4. what the lanes have committed  5. the outputs up to where they end by now  6. what the lanes have committed.
What 4 says is finished must have its output in 5, and what has its output in 5 must be finished in 6.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from backbone import topics
from backbone.lanes import read_committed
from backbone.scan import Place, Scan, scanning
from backbone.settings import Settings
from backbone.topics import FOR_EVER, Planned
from schemas.record import Record
from schemas.topic import Side
from trading_llm.court import Court
from trading_llm.docket import Docket
from trading_llm.standing import Offsets
from trading_llm.verdict import Verdict, outcomes_gone_ms, reach

OPEN_S_MAX = 10.0  # the broker ends a transaction after 5 s and looks for such every second
LOOK_EVERY_S = 0.2


async def hear(settings: Settings, wait_s: float, side: Side = Side.LIVE) -> Verdict:
    """The verdict on every context that lies on the log now; its outcome may take so long. Raises Fatal and Transient."""
    await topics.check(settings, settings.catalogue_names)
    planned = [each for each in topics.plan(settings.catalogue_names) if Side.of(each.name) is side]
    asked = [each for each in planned if each.name == side.contexts]
    outputs = [each for each in planned if each.name != side.contexts]
    until_s = time.monotonic() + wait_s
    async with scanning(settings, asked) as questions, scanning(settings, outputs) as answers:
        ends = await questions.stable_ends()  # 1
        docket = await _enter_all(questions, ends)  # 2
        court = Court(docket, await questions.starts(), ends, side)
        hearing = _Hearing(settings, planned, (questions, answers), court)
        await hearing.listen(until_s)  # 3
        return await hearing.close(until_s)  # 4, 5, 6


async def _enter_all(questions: Scan, ends: Mapping[Place, int]) -> Docket:
    docket = Docket()
    async for records in questions.read_to(ends):
        for record in records:
            if record.source.offset < ends[record.source.topic, record.source.partition]:
                docket.enter(record)
    return docket


class _Hearing:
    def __init__(self, settings: Settings, planned: Sequence[Planned], scans: tuple[Scan, Scan], court: Court) -> None:
        self._settings, self._planned, self._court = settings, planned, court
        self._questions, self._answers = scans
        self._first_ms: dict[Place, int] = {}  # when the first record was logged that a partition still holds

    async def listen(self, until_s: float) -> None:
        """Hear what there is, then what comes, until every context has its outcome, or the monotonic clock says so."""
        await self._hear_to(await self._answers.stable_ends())
        gone_ms = outcomes_gone_ms(await self._gone_ms(), self._court.side)
        while time.monotonic() < until_s and self._court.awaits(gone_ms):
            self._hear(await self._answers.read())

    async def close(self, until_s: float) -> Verdict:
        """The verdict, once no transaction is open that was so before; that may take a little longer still."""
        committed = await read_committed(self._settings, self._planned)
        open_places = await self._open_places(max(until_s, time.monotonic() + OPEN_S_MAX))
        await self._hear_to(await self._answers.stable_ends())
        starts = await self._questions.starts() | await self._answers.starts()
        offsets = Offsets(
            committed=committed,
            committed_later=await read_committed(self._settings, self._planned),
            starts=starts,
            ends=await self._ends(),
            open_places=open_places,
            gone_ms=await self._gone_ms(),
            models=self._settings.catalogue_names,
        )
        return reach(self._court, offsets)

    async def _hear_to(self, ends: Mapping[Place, int]) -> None:
        async for records in self._answers.read_to(ends):
            self._hear(records)

    def _hear(self, records: Sequence[Record]) -> None:
        for record in records:
            self._first_ms.setdefault((record.source.topic, record.source.partition), record.timestamp_ms)
            self._court.hear(record)

    async def _ends(self) -> dict[Place, int]:
        return await self._questions.ends() | await self._answers.ends()

    async def _open_places(self, until_s: float) -> list[Place]:
        """Where what is the end now does not become stable in time: a transaction that was open there still is."""
        ends = await self._ends()
        while True:
            stable = await self._questions.stable_ends() | await self._answers.stable_ends()
            left = [place for place, end in ends.items() if stable[place] < end]
            if not left or time.monotonic() > until_s:
                return left
            await asyncio.sleep(LOOK_EVERY_S)

    async def _gone_ms(self) -> dict[str, int]:
        """Up to when what was logged in each topic may have been deleted: where a log starts above 0, its first record's time.

        An empty one has lost what was older than its topic keeps; one that keeps for ever was emptied by hand. What was deleted
        by hand before its time cannot be told from what was lost.
        """
        starts, found = await self._answers.starts(), dict[str, int]()
        now_ms = time.time_ns() // 1_000_000
        kept_ms = {each.name: 0 if each.retention_ms == FOR_EVER else each.retention_ms for each in self._planned}
        for (topic, partition), start in starts.items():
            if start > 0:
                first_ms = self._first_ms.get((topic, partition), now_ms - kept_ms[topic])
                found[topic] = max(found.get(topic, -1), first_ms)
        return found
