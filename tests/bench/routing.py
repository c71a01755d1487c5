"""How fast one router process routes a backlog, all checks included, beside the bare loop that checks nothing."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from backbone.heartbeat import Heartbeats
from schemas.status import Heartbeat, WorkerState
from schemas.topic import CONTEXTS, DECISIONS, model_topic
from tests.bench.contexts import messages
from tests.bench.ground import Ground, stop_all
from tests.bench.log import Ends, Log, Written, fill
from tests.support.kafka import MODELS
from tests.support.processes import Running

S_MAX = 180.0
FIRST = 10**7  # no number of another measure


class RoutingBench:
    """Rounds over one backlog each: first one of the two reads it, then the other."""

    def __init__(self, ground: Ground, backlog: int, rounds: int, before: Path | None = None) -> None:
        self._ground, self._backlog, self._rounds, self._before = ground, backlog, rounds, before
        self._next = FIRST
        self._contexts = Log(ground.settings, [CONTEXTS])
        self._routed = Log(ground.settings, [*map(model_topic, MODELS), DECISIONS])
        ways = ("ours", "loop") if before is None else ("ours", "before", "loop")
        self.per_s: dict[str, list[float]] = {way: [] for way in ways}

    async def run(self) -> dict[str, Any]:
        """Contexts a second of each, a figure a round, and the ratio of the medians."""
        beating = [asyncio.create_task(Heartbeats(self._ground.settings).beat(partial(_heartbeat, model))) for model in MODELS]
        try:
            return await self._measured()
        finally:
            for each in beating:
                each.cancel()

    async def _measured(self) -> dict[str, Any]:
        before, after = await self._filled()
        unread = True  # whether the routers' group has a backlog; the loop reads any, and moves no group
        for turn in range(self._rounds):
            ways = list(self.per_s)
            for way in ways if turn % 2 == 0 else ways[::-1]:
                if way != "loop":
                    before, after = (before, after) if unread else await self._filled()
                    unread = False
                await self._one(way, before, after)
        medians = {way: round(statistics.median(each), 1) for way, each in self.per_s.items()}
        beside = {f"of_{way}": round(medians["ours"] / each, 3) for way, each in medians.items() if way != "ours"}
        return {"backlog": self._backlog, "rounds": self._rounds, "per_s": medians, "by_round": self.per_s} | beside

    async def _filled(self) -> tuple[Ends, Ends]:
        before = await self._contexts.ends()
        await fill(self._ground.settings, CONTEXTS, list(messages(self._next, self._backlog)))
        self._next += self._backlog
        return before, await self._contexts.ends()

    async def _one(self, way: str, before: Ends, after: Ends) -> None:
        since = await self._routed.ends()
        spans = {each.partition: (before[each], after[each]) for each in before}
        running = self._started(way, spans)
        try:
            await self._routed.still(since, S_MAX)
        finally:
            stop_all([running])
        self._note(way, await self._routed.written(since))

    def _started(self, way: str, spans: dict[int, tuple[int, int]]) -> Running:
        if way == "ours":
            return self._ground.pipeline(MODELS).router()
        if way == "before":
            assert self._before is not None
            return self._ground.router_of(self._before)
        return self._ground.peer("peer_loop", json.dumps(spans))

    def _note(self, way: str, written: Written) -> None:
        assert written.count == self._backlog, f"{way}: {written.count} of {self._backlog} were routed"
        self.per_s[way].append(written.per_s)
        print(f"  {way:<6} {written.per_s:8.0f} contexts/s", flush=True)


def _heartbeat(model: str) -> Heartbeat:
    """Of a worker that is not there: without one the router would send its model nothing, and only that is measured here."""
    at_ms = time.time_ns() // 1_000_000
    return Heartbeat(process=f"bench-{model}", model=model, state=WorkerState.READY, at_ms=at_ms, started_at_ms=at_ms)
