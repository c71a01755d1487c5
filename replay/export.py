"""The ledger as files: contexts of a range of time, what they came to, and the policies in between; goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from backbone import ledger, topics
from backbone.errors import Fatal, Transient
from backbone.history import read_back
from backbone.settings import Settings
from backbone.stops import reach
from replay import shelf
from replay.index import ANSWERS
from replay.shelf import Book
from schemas import headers as names
from schemas.canonical import canonical_json, digest, rfc3339
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS

FORM: Final = "ledger-export/1"
FILE: Final = "export.json"
# A file is held in memory while it is filled, by an export and again by a replay: some 5,000 decisions are 20 MB.
RECORDS_MAX: Final = 5_000
BYTES_MAX: Final = 32 << 20
SKEW_MS: Final = 60_000  # between the clocks of two brokers: an outcome must not seem earlier than its context
TOPICS: Final = (CONTEXTS, DECISIONS, DEAD_LETTERS)

Told = Callable[[int, int], None]  # how many offsets were read, of how many


class ExportError(ValueError):
    """The folder cannot take this export, or is none; the text names the remedy."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A partition's offsets from `first` to before `end`."""

    topic: str
    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Export:
    """What a folder of the ledger holds, or is to hold: [from, to) by the log's clock, in epoch ms."""

    from_ms: int
    to_ms: int
    stretches: tuple[Stretch, ...]
    complete: bool = False
    records: Mapping[str, int] = field(default_factory=dict)

    def holds(self, src: Source) -> bool:
        """Whether this context is in the range."""
        own = (each for each in self.stretches if (each.topic, each.partition) == (src.topic, src.partition))
        return any(each.first <= src.offset < each.end for each in own)

    def to_bytes(self) -> bytes:
        """The file `export.json`."""
        document = {
            "form": FORM,
            "from": rfc3339(self.from_ms),
            "to": rfc3339(self.to_ms),
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "complete": self.complete,
            "records": dict(self.records),
            "stretches": [[each.topic, each.partition, each.first, each.end] for each in self.stretches],
        }
        return json.dumps(document, indent=1).encode()


def read_export(folder: Path) -> Export:
    """What is in this folder. Raises ExportError where it is no export."""
    try:
        held: dict[str, Any] = json.loads((folder / FILE).read_bytes())
        stretches = tuple(Stretch(*each) for each in held["stretches"])
        found = Export(held["from_ms"], held["to_ms"], stretches, held["complete"], held["records"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{folder} holds no export: {error!r}; make one with `trading-llm ledger export --out`") from None
    if held["form"] != FORM:
        raise ExportError(f"{folder / FILE}: form: must be {FORM}, not {held['form']}; export again")
    return found


async def export(settings: Settings, folder: Path, from_ms: int, to_ms: int, told: Told) -> Export:
    """Write the range into this folder, or what is missing of it there. Raises ExportError and Fatal.

    1. plan: where each partition begins and ends is fixed, so that going on means the same range
    2. the policies, which decisions name by their digests
    3. each partition, from where its last file ends
    """
    with shelf.alone(folder):
        planned = await _planned(settings, folder, from_ms, to_ms)  # 1
        return planned if planned.complete else await _written(settings, folder, planned, told)


async def _written(settings: Settings, folder: Path, planned: Export, told: Told) -> Export:
    shelf.sweep(folder)
    for name, text in (await topics.policies(settings)).items():  # 2
        shelf.written(folder / "policies" / f"{name}.toml", text.encode())
    total, before = sum(each.end - each.first for each in planned.stretches), 0
    for stretch in planned.stretches:  # 3
        await _Scribe(settings, folder, planned, stretch, partial(_told_of, told, before, total)).write()
        before += stretch.end - stretch.first
    done = replace(planned, complete=True, records=_counted(folder))
    shelf.written(folder / FILE, done.to_bytes())
    return done


def _told_of(told: Told, before: int, total: int, passed: int) -> None:
    told(before + passed, total)


async def _planned(settings: Settings, folder: Path, from_ms: int, to_ms: int) -> Export:
    if (folder / FILE).exists():
        there = read_export(folder)
        if (there.from_ms, there.to_ms) != (from_ms, to_ms):
            held = f"{rfc3339(there.from_ms)} to {rfc3339(there.to_ms)}"
            raise ExportError(f"{folder} holds the range {held}; name another folder, or that range to go on")
        return there
    firsts = await ledger.begins(settings, (CONTEXTS,), from_ms)
    firsts |= await ledger.begins(settings, ledger.OUTCOME_TOPICS, max(0, from_ms - SKEW_MS))
    # An outcome comes later than its context; how much later nobody knows, so they are looked for up to the end.
    ends = await ledger.ends(settings, ledger.OUTCOME_TOPICS) | await ledger.begins(settings, (CONTEXTS,), to_ms)
    stretches = tuple(Stretch(*place, first, max(first, ends[place])) for place, first in firsts.items())
    planned = Export(from_ms, to_ms, stretches)
    shelf.written(folder / FILE, planned.to_bytes())
    return planned


@dataclass(slots=True)
class _Scribe:
    """Writes one stretch, file by file."""

    settings: Settings
    folder: Path
    planned: Export
    stretch: Stretch
    told: Callable[[int], None]
    held: list[Record] = field(default_factory=list)
    held_bytes: int = 0

    async def write(self) -> None:
        stretch, at = self.stretch, self._resumed()
        if at >= stretch.end:
            return self.told(stretch.end - stretch.first)
        try:
            async for records in read_back(self.settings, stretch.topic, stretch.partition, at, stretch.end):
                for record in records:
                    self._take(record)
                if records:
                    self.told(records[-1].source.offset + 1 - stretch.first)
        except Transient as error:
            raise Fatal(f"broker at {self.settings.kafka_bootstrap}: {error}") from error
        self._put(stretch.end)
        return self.told(stretch.end - stretch.first)

    def _resumed(self) -> int:
        """Where to go on: behind the last file, since files follow each other without a gap."""
        own = [book for book in shelf.books(self.folder, self.stretch.topic) if book.partition == self.stretch.partition]
        return shelf.end_of(self.folder, own[-1]) if own else self.stretch.first

    def _take(self, record: Record) -> None:
        if not self._wanted(record):
            return
        day = shelf.day_of(record.timestamp_ms)
        full = len(self.held) >= RECORDS_MAX or self.held_bytes >= BYTES_MAX
        if self.held and (full or shelf.day_of(self.held[0].timestamp_ms) != day):
            self._put(record.source.offset)
        self.held.append(record)
        self.held_bytes += len(record.value)

    def _wanted(self, record: Record) -> bool:
        """Whether it is a context of the range, or answers one. What names no context is not the pipeline's."""
        if record.source.topic == CONTEXTS:
            return True
        try:
            return self.planned.holds(Source.parse(names.header_text(record.headers, names.SRC) or ""))
        except ValueError:
            return False

    def _put(self, end: int) -> None:
        if self.held:
            first = self.held[0]
            day, source = shelf.day_of(first.timestamp_ms), first.source
            shelf.put(self.folder, Book(source.topic, day, source.partition, source.offset), self.held, end)
            reach("export.after_file")
        self.held, self.held_bytes = [], 0


def require_whole(folder: Path) -> None:
    """Raises ExportError unless this export was finished and holds as many records as it held then: a lost file is no gap."""
    held = read_export(folder)
    if not held.complete:
        raise ExportError(f"{folder} is not whole: run its `trading-llm ledger export` again, which goes on where it was")
    for topic, count in _counted(folder).items():
        if held.records.get(topic) != count:
            told = f"must be {held.records.get(topic)} of {topic}, as {FILE} says, not {count}"
            raise ExportError(f"{folder}: records: {told}: a file is missing or none of it; export again into another folder")


def contents(folder: Path, *, answers: bool = True) -> str:
    """A digest of what this export holds: of its plan, and of its files by names and sizes, since none is ever changed.

    `answers`: those of later replays too, which the next one may find.
    """
    held = (*TOPICS, "policies", ANSWERS) if answers else (*TOPICS, "policies")
    files = sorted(path for name in held for path in (folder / name).rglob("*") if path.is_file())
    named = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]
    return digest((folder / FILE).read_bytes() + canonical_json(named))


def _counted(folder: Path) -> dict[str, int]:
    return {topic: sum(shelf.rows(folder, book) for book in shelf.books(folder, topic)) for topic in TOPICS}


def policies(folder: Path) -> Sequence[str]:
    """The texts of the policies in this folder, each the one of its name; others are left out."""
    texts = {path.stem: path.read_bytes() for path in sorted((folder / "policies").glob("*.toml"))}
    return [text.decode() for name, text in texts.items() if digest(text) == name]
