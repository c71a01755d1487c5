"""What the lanes of one reader ask of a worker: the live ones' intake, or the replayed ones' (backbone/reader.py: Work)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from backbone.lane import Lane, now_ms
from backbone.progress import Mark
from schemas.canonical import parse_rfc3339
from schemas.record import Record
from schemas.result import Result
from workers.ask import Asker, undecidable
from workers.engine import REPLAY, Priority

# How long an answer may wait for others of its lane, to be written with them; without it each is a transaction of its own. Only
# where that is little: a crowded engine's questions wait much longer, and for a replay nobody waits.
WRITTEN_TOGETHER_S = 0.1
IN_TIME_MS = 1000  # with less than this left of its question's time an answer waits for no other: the commit takes its own time
REMEMBERED = 512  # answers whose durations make the percentiles of a heartbeat


class Intake:
    """Asks what one reader hands out, all at once. `failed` is told what no record can be blamed for, EngineDied among it."""

    def __init__(self, asker: Asker, priority: Priority, failed: Callable[[BaseException], None]) -> None:
        self._asker, self._priority, self._failed = asker, priority, failed
        self._under_way: dict[Lane, set[asyncio.Task[None]]] = {}
        self._one_lane = asyncio.Lock()
        self._took_ms: deque[float] = deque(maxlen=REMEMBERED)
        self.answered = 0

    @property
    def questions(self) -> int:
        """How many have no answer yet."""
        return sum(map(len, self._under_way.values()))

    def took_ms(self, *shares: float) -> tuple[float | None, ...]:
        """For each share the time within which so many of the newest questions had their answer; None: there was none."""
        took = sorted(self._took_ms)
        return tuple(_percentile(took, share) for share in shares)

    async def claimed(self, lane: Lane, mark: Mark) -> None:
        """Nothing has to be known of what lies before."""
        self._under_way[lane] = set()

    async def room(self) -> int:
        """What the engine has room for: all of it goes to one lane, then to the next, so that each may write several at once."""
        async with self._one_lane:
            return await self._asker.admission.room(self._priority)

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        """Ask each, all at once; the engine batches them."""
        for record in records:
            task = asyncio.create_task(self._decide(lane, record))
            self._under_way[lane].add(task)
            task.add_done_callback(lambda done: self._done(lane, done))
            await asyncio.sleep(0)  # one question's rendering a turn of the loop: heartbeat and `control` get theirs

    async def _decide(self, lane: Lane, record: Record) -> None:
        began_s = time.monotonic()
        result = await self._asker.decide(record)
        self._took_ms.append((time.monotonic() - began_s) * 1000)
        self.answered += 1
        lane.finish(result, WRITTEN_TOGETHER_S if self._may_wait(result) else 0.0)

    def _may_wait(self, result: Result) -> bool:
        if self._priority == REPLAY:
            return True
        if result.decision is None or result.decision.valid_until is None or not self._asker.admission.crowded():
            return False
        return parse_rfc3339(result.decision.valid_until) - now_ms() >= IN_TIME_MS

    def _done(self, lane: Lane, task: asyncio.Task[None]) -> None:
        self._under_way.get(lane, set()).discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def give_up(self, record: Record) -> Result:
        """The outcome of a record that ended its workers again and again."""
        model = self._asker.model
        return undecidable(record, f"every process that asked {model} about this record died before it was decided")

    def pending(self, lane: Lane) -> bool:
        """Whether its engine still works for this lane."""
        return bool(self._under_way.get(lane))

    def dropped(self, lane: Lane) -> None:
        """Take back what is asked for this lane: its answers could not be written any more."""
        for task in self._under_way.pop(lane, set()):
            task.cancel()


def _percentile(rising: Sequence[float], share: float) -> float | None:
    return rising[int(len(rising) * share)] if rising else None
