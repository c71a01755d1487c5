"""What the outcomes on a shelf say, to be found by context and by content key: SQLite, made again from the shelf at any time.

Answers that models gave to its contexts later, in replays, lie beside it (`answers/`), and are found by content key alone.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from deciders.identity import generation_key
from replay import shelf
from replay.shelf import Damaged
from schemas import headers as names
from schemas.canonical import canonical_json, digest
from schemas.decision import Decision, GenerationParts
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS

FILE: Final = "index.sqlite"
SEAL: Final = "index.sha256"  # SQLite itself does not notice a changed byte inside a value
FORM: Final = "2"
ANSWERS: Final = "answers"  # below the shelf: a shelf a run
ANSWERS_FROM: Final = 1 << 62  # the first of their numbers in the table of outcomes, beyond every context's
ANSWERED: Final = -1  # in the place of a failed attempt's number
OFFSET_BITS: Final = 44  # 17 trillion records a partition, and a quarter of a million partitions, below ANSWERS_FROM
# An answer counts before a failure, and then what came first: a key has one entry, whichever way the shelf is read.
TABLES: Final = """
CREATE TABLE outcomes (id INTEGER PRIMARY KEY, reason TEXT, value BLOB NOT NULL);
CREATE TABLE generations (key TEXT PRIMARY KEY, outcome INTEGER NOT NULL, attempt INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
KEEP_FIRST: Final = """
INSERT INTO generations VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET outcome = excluded.outcome, attempt = excluded.attempt
WHERE (excluded.attempt >= 0, excluded.outcome) < (generations.attempt >= 0, generations.outcome)
"""

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a context came to: a decision's bytes, or a dead letter's reason."""

    src: Source
    reason: str | None
    value: bytes


def build(folder: Path, told: Told) -> None:
    """Make the index of this shelf, beside an older one until it is whole. Raises Damaged, and Occupied while another does."""
    with shelf.alone(folder):
        _build(folder, told)


def _build(folder: Path, told: Told) -> None:
    own = _digest_of(folder)  # before they are read: what comes while they are makes this index an older one
    path, found = folder / FILE, [*shelf.books(folder, DECISIONS), *shelf.books(folder, DEAD_LETTERS)]
    beside = path.with_name(path.name + shelf.PART)
    beside.unlink(missing_ok=True)
    with closing(sqlite3.connect(beside, isolation_level=None)) as database:
        # Nothing is lost with it: a crash leaves a file that nobody takes for the index.
        database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {TABLES}")
        database.execute("BEGIN")
        for number, book in enumerate(found):
            told(number, len(found))
            for record in shelf.read(folder, book):
                _take(database, record)
        told(len(found), len(found))
        for number, record in enumerate(_answers(folder), start=ANSWERS_FROM):
            _keep(database, number, None, record)
        database.executemany("INSERT INTO about VALUES (?, ?)", [("form", FORM), ("shelf", own)])
        database.execute("COMMIT")
    shelf.written(folder / SEAL, _sha256(beside).encode())
    beside.replace(path)


def flaw(folder: Path) -> str | None:
    """Why the index is not the one of this shelf, if it is not: it must be built again. Reads it whole."""
    path = folder / FILE
    if not path.exists():
        return "there is none"
    if not (folder / SEAL).exists() or (folder / SEAL).read_text() != _sha256(path):
        return "it is damaged: its sha256 is another"
    with closing(_opened(path)) as database:
        told = dict(database.execute("SELECT name, value FROM about"))
    if told["form"] != FORM:
        return f"its form is {told['form']}, not {FORM}"
    return None if told["shelf"] == _digest_of(folder) else "the files beside it are others"


class Index:
    """An index to be read."""

    def __init__(self, folder: Path) -> None:
        self._database = _opened(folder / FILE)

    def close(self) -> None:
        """Read no more."""
        self._database.close()

    def outcomes(self, partition: int, first: int, last: int) -> Iterator[Outcome]:
        """What the contexts of these offsets came to, both included, in their order."""
        between = (_id(partition, first), _id(partition, last))
        yield from self._found("SELECT * FROM outcomes WHERE id BETWEEN ? AND ? ORDER BY id", between)

    def all_outcomes(self) -> Iterator[Outcome]:
        """Every one, by partition and offset of its context."""
        yield from self._found("SELECT * FROM outcomes WHERE id < ? ORDER BY id", (ANSWERS_FROM,))

    def _found(self, query: str, values: tuple[int, ...]) -> Iterator[Outcome]:
        for number, reason, value in self._database.execute(query, values):
            yield Outcome(_src(number), reason, value)

    def outcome(self, src: Source) -> Outcome | None:
        """What this context came to."""
        return next(self.outcomes(src.partition, src.offset, src.offset), None)

    def generation(self, key: str) -> tuple[Decision, int] | None:
        """The decision that holds the generation of this key, and which of its failed attempts it is, else ANSWERED."""
        found = self._database.execute("SELECT outcome, attempt FROM generations WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        ((value,),) = self._database.execute("SELECT value FROM outcomes WHERE id = ?", (found[0],)).fetchall()
        return Decision.from_bytes(value), int(found[1])

    def counts(self) -> dict[str, int]:
        """How many entries there are."""
        outcomes = self._database.execute("SELECT count(*) FROM outcomes WHERE id < ?", (ANSWERS_FROM,)).fetchone()[0]
        return {"outcomes": outcomes, "generations": self._database.execute("SELECT count(*) FROM generations").fetchone()[0]}


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _digest_of(folder: Path) -> str:
    """Of the files that an index is made from: their names and sizes, since a file is never changed."""
    found = [folder / book.name for topic in (DECISIONS, DEAD_LETTERS) for book in shelf.books(folder, topic)]
    found += [own / book.name for own in _runs(folder) for book in shelf.books(own, DECISIONS)]
    return digest(canonical_json([(path.relative_to(folder).as_posix(), path.stat().st_size) for path in found]))


def _runs(folder: Path) -> list[Path]:
    """In the order in which they were asked: of two answers to one question the first one stays the one."""
    return sorted((folder / ANSWERS).glob("*"), key=lambda own: (_began_ms(own), own.name))


def _began_ms(own: Path) -> int:
    firsts = (next(shelf.read(own, book), None) for book in shelf.books(own, DECISIONS))
    return min((each.timestamp_ms for each in firsts if each is not None), default=0)


def _answers(folder: Path) -> Iterator[Record]:
    for own in _runs(folder):
        for book in shelf.books(own, DECISIONS):
            yield from shelf.read(own, book)


def _id(partition: int, offset: int) -> int:
    return partition << OFFSET_BITS | offset


def _src(number: int) -> Source:
    return Source(CONTEXTS, number >> OFFSET_BITS, number & (1 << OFFSET_BITS) - 1)


def _take(database: sqlite3.Connection, record: Record) -> None:
    src = Source.parse(names.header_text(record.headers, names.SRC) or "")
    number, reason = _id(src.partition, src.offset), names.header_text(record.headers, names.REASON)
    # A context has one outcome; were there two, which `trading-llm audit` would tell, the first that was logged stands.
    _keep(database, number, reason, record)


def _keep(database: sqlite3.Connection, number: int, reason: str | None, record: Record) -> None:
    value = b"" if record.source.topic == DEAD_LETTERS else record.value
    if database.execute("INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?)", (number, reason, value)).rowcount and value:
        rows = [(key, number, attempt) for key, attempt in _generations(_decision(record))]
        database.executemany(KEEP_FIRST, rows)


def _decision(record: Record) -> Decision:
    try:
        return Decision.from_bytes(record.value)
    except ValidationError as error:
        flaw = error.errors()[0]
        field = ".".join(map(str, flaw["loc"])) or "value"
        raise Damaged(f"{record.source}: {field}: {flaw['msg']}: a record that is no decision; see `trading-llm audit`") from None


def _generations(decision: Decision) -> Iterator[tuple[str, int]]:
    """Each generation's key and its place. One that is not the digest of its parts proves nothing, and is left out."""
    held = decision.generation
    if held is None:
        return
    if held.key is not None and _bears_out(held.key, held.parts):
        yield held.key, ANSWERED
    for number, failed in enumerate(held.failed):
        if failed.key is not None and _bears_out(failed.key, failed.parts):
            yield failed.key, number


def _bears_out(key: str, parts: GenerationParts | None) -> bool:
    return parts is not None and generation_key(parts) == key
