"""Everything that one claim of a lane knows, and all that follows from it: what to deliver, what to write. Pure.

`backbone/lane.py` moves the bytes: it tells this state what was read, what was decided and what became of a transaction,
and does what it answers. After a doubt the state is thrown away: only the broker's committed mark is known to be true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from backbone.outbox import Outbox
from backbone.progress import WINDOW_OFFSETS, Mark, Progress
from schemas.record import Record
from schemas.result import Result

SUSPECT_AFTER_CLAIMS = 2  # from here on the records that may have killed an owner are asked one by one
UNDECIDABLE_AFTER_CLAIMS = 4  # and here the first of them is given up
IDLE_COMMIT_S = 5.0  # an idle lane moves its mark past the last marker, or retention would overtake it
TRANSACTION_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a lane may hold that has no outcome yet."""

    records_max: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Write:
    """What goes into one transaction beside the mark; without results it only moves the mark."""

    results: tuple[Result, ...] = ()
    offsets: frozenset[int] = frozenset()


MARK_ONLY = Write()


class LaneState:
    """One claim of a lane, from its committed mark on. No clock, no client, no chance: what happens comes in."""

    def __init__(self, limits: Limits, *, count_claim: bool) -> None:
        self._limits = limits
        self._progress = Progress(Mark(0))
        self._backlog: deque[Record] = deque()
        self._outbox = Outbox()
        self._bytes = _Bytes()
        self._asked = 0
        self._claims = 0
        self._careful_below = 0
        self._suspect = -1  # the first record that this claim took up
        self._marked = 0
        self._active_s = 0.0
        self.uncounted = count_claim  # whether this process has taken up no record of the partition yet
        self.progressed = False  # whether this claim has written an outcome

    def start(self, mark: Mark, end: int, now_s: float) -> None:
        """The lane is ours from this mark on; the log ended at `end`, or beyond what anybody can have read."""
        self._progress, self._claims, self._marked, self._active_s = Progress(mark), mark.claims, mark.offset, now_s
        if mark.claims + self.uncounted >= SUSPECT_AFTER_CLAIMS:
            self._careful_below = min(mark.offset + WINDOW_OFFSETS, end)  # what came later, no dead owner can have read

    # -- how it stands ------------------------------------------------------------------------------------------------

    @property
    def unfinished(self) -> int:
        """How many records are delivered and have no outcome yet."""
        return self._progress.unfinished

    @property
    def asked(self) -> int:
        """How many of them have no result yet."""
        return self._asked

    @property
    def held_bytes(self) -> int:
        """The values of the unfinished records, and their results as far as there are any."""
        return self._bytes.held

    @property
    def careful(self) -> bool:
        """Whether its records are asked one by one: one of them may have ended its askers."""
        return self._progress.lowest < self._careful_below

    @property
    def suspected(self) -> bool:
        """Whether the first record that was read must be given up: its askers died too often."""
        return self._claims >= UNDECIDABLE_AFTER_CLAIMS

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def room(self) -> bool:
        """Whether one more record may be delivered."""
        if self.careful and self.unfinished:
            return False
        if self._backlog and not self._progress.fits(self._backlog[0].source.offset):
            return False
        return self.unfinished < self._limits.records_max and self._bytes.held < self._limits.bytes_max

    @property
    def needs_records(self) -> bool:
        """Whether everything that was read is delivered."""
        return not self._backlog

    def read(self, records: Iterable[Record], now_s: float) -> None:
        """These came next in the log."""
        self._backlog.extend(records)
        self._active_s = now_s

    def read_nothing(self, position: int) -> None:
        """There is nothing to read before this position: what was not delivered there never will be."""
        self._progress.pass_by(position)

    def deliver(self, records_max: int) -> list[Record]:
        """The next records to decide, each once."""
        out: list[Record] = []
        records_max = 1 if self.careful else records_max
        while self._backlog and len(out) < records_max and self._progress.fits(self._backlog[0].source.offset):
            record = self._backlog.popleft()
            if self._progress.deliver(record.source.offset):
                self._outbox.expect(record)
                self._bytes.add(record.source.offset, len(record.value))
                out.append(record)
        self._asked += len(out)
        if self._suspect < 0 and out:
            self._suspect = out[0].source.offset
        return out

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether there are results for the next transaction."""
        return self._outbox.ready

    @property
    def holds_back(self) -> bool:
        """Whether results wait for time to pass: `look_again` must be called now and then."""
        return self._outbox.holds_back

    def is_idle(self, now_s: float) -> bool:
        """Whether nothing came for a while, and the mark stands behind what is done."""
        return now_s - self._active_s > IDLE_COMMIT_S and self._behind

    def finish(self, result: Result) -> None:
        """This record has its result; it is written as soon as it may be."""
        self._asked -= 1
        self._bytes.add(result.record.source.offset, result.size_bytes)
        self._outbox.finish(result)

    def look_again(self, now_ms: int) -> None:
        """Time has passed: what is held back may have become ready, or something else."""
        self._outbox.look_again(now_ms)

    def next_write(self, now_ms: int) -> Write | None:
        """What to write now, if anything."""
        results = self._outbox.take(now_ms, self._limits.records_max, TRANSACTION_BYTES_MAX)
        if results:
            return Write(tuple(results), frozenset(result.record.source.offset for result in results))
        return MARK_ONLY if self._behind else None

    def mark(self, write: Write = MARK_ONLY) -> Mark:
        """What to commit together with this; asked at the last moment, since more may have been read meanwhile."""
        mark = self._progress.mark(write.offsets, claims=0 if self._suspect in write.offsets else self._claims)
        self._marked = mark.offset
        return mark

    def written(self, write: Write) -> None:
        """The transaction was committed: its records have their outcomes."""
        if write.results:
            self._progress.finish(write.offsets)
            self._bytes.drop(write.offsets)
            # Others' outcomes say nothing for it: while they keep coming, a record that kills slowly would never be counted up.
            self._claims = 0 if self._suspect in write.offsets else self._claims
            self.progressed = True

    def refused(self, write: Write, log_ms: int) -> None:
        """The transaction was aborted: by the log's clock one of its results may not go out as it is."""
        self._outbox.put_back(write.results, log_ms)

    @property
    def _behind(self) -> bool:
        return self._progress.position > self._marked and not self.unfinished

    # -- counting claims ----------------------------------------------------------------------------------------------

    def count(self) -> bool:
        """Count this claim, before any of its records can kill this process; False where that was done before."""
        counts, self.uncounted = self.uncounted, False
        self._claims += counts
        return counts

    @property
    def stays_counted(self) -> bool:
        """Whether a claim of this process would stay counted if it left now."""
        return bool(self.unfinished and self._claims and not self.uncounted)

    def mark_handed_back(self) -> Mark:
        """What an owner commits that leaves in peace: its claim comes off the count, and its successor suspects nobody."""
        self._claims = max(0, self._claims - 1)  # also for what it may still write
        return self._progress.mark(claims=self._claims)


class _Bytes:
    """How much a lane holds: its records' values, and their results until they are written."""

    def __init__(self) -> None:
        self.held = 0
        self._of: dict[int, int] = {}

    def add(self, offset: int, size_bytes: int) -> None:
        self.held += size_bytes
        self._of[offset] = self._of.get(offset, 0) + size_bytes

    def drop(self, offsets: Collection[int]) -> None:
        self.held -= sum(self._of.pop(offset) for offset in offsets)
