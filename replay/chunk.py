"""A part of a replay: the contexts of one file, decided again from records, and kept once all of them are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from backbone.stops import reach
from replay import shelf
from replay.again import Again, Ground, NotRecorded, dead_again, decide_again, named_for
from replay.index import Index, Outcome
from replay.missing import put_missing
from replay.plan import Counts, Means, Plan, ground_of
from replay.recorded import Recorded
from replay.root import in_order, line
from replay.shelf import Book
from schemas.canonical import parse_rfc3339
from schemas.decision import Decision, decision_output
from schemas.record import Record
from schemas.topic import DECISIONS

LINES: Final = "lines"
DONE: Final = "done"


@dataclass(slots=True)
class Worker:
    """What one process decides chunks with."""

    plan: Plan
    folder: Path
    run_id: str
    ground: Ground
    index: Index

    @classmethod
    def ready(cls, plan: Plan, means: Means, folder: Path, run_id: str) -> Worker:
        """One that has read policies and index."""
        return cls(plan, folder, run_id, ground_of(plan, means), Index(plan.source))

    def decide(self, book: Book) -> Counts:
        """Decide the contexts of this file again, unless that is done. Raises Miss; what is to be asked about is put aside."""
        if (done := done_before(self.folder, book)) is not None:
            return done
        made = Made()
        for record, outcome in self._pairs(book):
            try:
                self._take(made, record, outcome)
            except NotRecorded as missed:
                if self.plan.on_miss != "infer":
                    raise
                made.missing.setdefault(missed.model, []).append(record)
        if made.missing:  # nothing of it is done: it is decided again, whole, once they are asked about
            put_missing(self.folder, book.day, made.missing)
            return Counts()
        return keep(made, book, self.folder)

    def _pairs(self, book: Book) -> Iterator[tuple[Record, Outcome | None]]:
        """The contexts in the plan, each with what it came to."""
        last = shelf.end_of(self.plan.source, book)
        outcomes = self.index.outcomes(book.partition, book.first, last)
        outcome = next(outcomes, None)
        for record in shelf.read(self.plan.source, book):
            while outcome is not None and outcome.src < record.source:
                outcome = next(outcomes, None)
            if self.plan.covers(record.timestamp_ms):
                yield record, outcome if outcome is not None and outcome.src == record.source else None

    def _take(self, made: Made, record: Record, outcome: Outcome | None) -> None:
        recorded = None if outcome is None or outcome.reason is not None else Recorded(Decision.from_bytes(outcome.value))
        if self.plan.symbols and (recorded is None or recorded.decision.symbol not in self.plan.symbols):
            return
        if outcome is None:
            made.counts.contexts += 1
            made.counts.open += 1
        elif recorded is None:
            made.take(record, dead_again(record, outcome.reason or "", self.ground), self.run_id)
        else:
            made.take(record, decide_again(record, recorded, self.ground, self.index.generation), self.run_id)


@dataclass(slots=True)
class Made:
    """What a chunk came to so far."""

    decisions: list[Record] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    missing: dict[str, list[Record]] = field(default_factory=dict)  # contexts that a model was never asked about, by its name

    def take(self, record: Record, again: Again, run_id: str) -> None:
        """A context, and what it came to."""
        counts = self.counts
        counts.contexts += 1
        counts.misses += again.missed
        if again.decision is None:
            counts.dead_letters += 1
            return
        decision = named_for(again.decision, run_id)
        counts.decisions += 1
        counts.statuses[decision.status] = counts.statuses.get(decision.status, 0) + 1
        self.lines.append(line(decision))
        self.decisions.append(kept(record, decision))


def done_before(folder: Path, book: Book) -> Counts | None:
    """What this file's contexts came to, where that is done."""
    done = _done(folder, book)
    return Counts(**json.loads(done.read_bytes())) if done.exists() else None


def keep(made: Made, book: Book, *folders: Path) -> Counts:
    """Keep what the contexts of this file came to: whole, or they are decided again. The run's own folder is the first one.

    1. the decisions  2. their lines for the digest  3. that it is done
    """
    if made.decisions:
        first = made.decisions[0].source
        for folder in folders:
            shelf.put(folder, Book(DECISIONS, book.day, first.partition, first.offset), made.decisions, first.offset)  # 1
    shelf.written(folders[0] / LINES / _name(book), b"".join(in_order(made.lines)))  # 2
    shelf.written(_done(folders[0], book), json.dumps(asdict(made.counts)).encode())  # 3
    reach("replay.after_chunk")
    return made.counts


def kept(record: Record, decision: Decision) -> Record:
    """The decision as a record at its context's place, since it lies in no log."""
    output = decision_output(record, record.source, decision)
    return Record(record.source, output.key, output.value, output.headers, parse_rfc3339(decision.decided_at))


def _done(folder: Path, book: Book) -> Path:
    return folder / DONE / f"{_name(book)}.json"


def _name(book: Book) -> str:
    return f"{book.day}-{book.partition:05d}-{book.first:020d}"
