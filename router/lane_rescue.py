"""One lane of a model that died, in this router's hands: what waits there is sent on, and what cannot be is looked at again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from backbone import telemetry
from backbone.cancellation import heed
from backbone.lane import Lane, now_ms
from deciders.fleet import Fleet
from deciders.stranded import EXPIRED, NO_MODEL, UNDECIDABLE, PolicyOf, Rescued, Stranded, read_stranded
from schemas.result import Result

BATCH = 200  # records a read, as of `contexts`
# Twice in the second before its deadline in which a context that nobody can take is given up.
LOOK_AGAIN_S = 0.5


class LaneRescue:
    """One takeover. `fleet` and `policy_of` say how things stand; `sent` hears of every question that goes to a model."""

    def __init__(
        self, lane: Lane, model: str, fleet: Callable[[], Fleet], policy_of: PolicyOf, sent: Callable[[Result], None]
    ) -> None:
        self._lane, self._model = lane, model
        self._fleet, self._policy_of, self._sent = fleet, policy_of, sent
        self._waiting: dict[int, Stranded] = {}  # no more than the lane may hold
        self._unwritten: dict[int, str] = {}  # what each result came to
        self._written: Counter[str] = Counter()
        lane.on_written = self._count

    async def run(self) -> None:
        """Send on what waits and what still comes, for ever. Ends by Doubt (Fenced: its owner is back), or cancelled."""
        try:
            await self._lane.serve(self._take_in(), self._look_again())
        finally:
            ended = (EXPIRED, NO_MODEL, UNDECIDABLE)
            moved = sum(count for to, count in self._written.items() if to not in ended)
            place = self._lane.place
            telemetry.event(
                "lane.rescued", topic=place.topic, partition=place.partition, moved=moved, expired=self._written[EXPIRED],
                abstained=self._written[NO_MODEL], undecidable=self._written[UNDECIDABLE], left=self._lane.state.unfinished,
            )  # fmt: skip

    async def _take_in(self) -> None:
        while True:
            heed()
            for record in await self._lane.read(BATCH):
                self._take(record.source.offset, read_stranded(record, self._model))
                await asyncio.sleep(0)  # one question's reading a turn of the loop: heartbeat and `control` get theirs

    async def _look_again(self) -> None:
        while True:
            heed()
            await asyncio.sleep(LOOK_AGAIN_S)
            for offset, stranded in list(self._waiting.items()):
                self._take(offset, stranded)

    def _take(self, offset: int, found: Stranded | Rescued) -> None:
        rescued = found if isinstance(found, Rescued) else found.rescued(self._fleet(), self._policy_of, now_ms())
        if rescued is None:
            assert isinstance(found, Stranded)
            self._waiting[offset] = found
            return
        self._waiting.pop(offset, None)
        self._unwritten[offset], result = rescued.to, rescued.result
        self._sent(result)
        self._lane.finish(result)

    def _count(self, results: Sequence[Result]) -> None:
        for result in results:
            to = self._unwritten.pop(result.record.source.offset)
            self._written[to] += 1
            telemetry.RESCUED.labels(self._model, to).inc()
