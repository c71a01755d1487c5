"""Records as they lie on disk: Parquet by topic and day, each file whole, one partition's, in the order of its offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json

from schemas import headers as names
from schemas.record import Headers, Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS

LOCK: Final = ".lock"
PART: Final = ".part"  # what is being written; whoever finds one may remove it
GROUP_ROWS: Final = 1_000  # read at a time: 4 MB of decisions
RECORD: Final = [
    ("partition", pa.int32()),
    ("offset", pa.int64()),
    ("logged_at", pa.timestamp("ms", tz="UTC")),
    ("key", pa.binary()),
    ("value", pa.binary()),
    ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
    ("tombstone", pa.bool_()),
]
# What a person asks an outcome for, beside its bytes; `src_*` is the context that it answers.
OUTCOME: Final = [
    ("src_partition", pa.int32()),
    ("src_offset", pa.int64()),
    ("reason", pa.string()),
    ("bot_id", pa.string()),
    ("symbol", pa.string()),
    ("context_id", pa.string()),
    ("status", pa.string()),
    ("action", pa.string()),
    ("size_pct", pa.float64()),
    ("confidence", pa.float64()),
    ("model", pa.string()),
]
SCHEMAS: Final = {
    CONTEXTS: pa.schema(RECORD),
    DECISIONS: pa.schema(RECORD + OUTCOME),
    DEAD_LETTERS: pa.schema(RECORD + OUTCOME[:3]),
}


class Damaged(Exception):
    """A file does not hold what was written there; the text names it, and the remedy."""


class Occupied(Exception):
    """Another process writes to this folder; the text names it."""


@dataclass(frozen=True, slots=True)
class Book:
    """One file: records of a partition from offset `first` on, all logged on one day."""

    topic: str
    day: str
    partition: int
    first: int

    @property
    def name(self) -> str:
        """Its name below a shelf; names sort as partitions and offsets do within a day."""
        return f"{self.topic}/day={self.day}/{self.partition:05d}-{self.first:020d}.parquet"

    @classmethod
    def parse(cls, shelf: Path, path: Path) -> Book:
        """The book at this path; ValueError where it is none."""
        topic, day, _ = path.relative_to(shelf).parts
        partition, _, first = path.stem.partition("-")
        return cls(topic, day.removeprefix("day="), int(partition), int(first))


def day_of(epoch_ms: int) -> str:
    """The day of this moment in UTC."""
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).date().isoformat()


def books(shelf: Path, topic: str) -> list[Book]:
    """All files of a topic, by partition and offset."""
    found = [Book.parse(shelf, path) for path in (shelf / topic).glob("day=*/*.parquet")]
    return sorted(found, key=lambda book: (book.partition, book.first))


def sweep(shelf: Path) -> None:
    """Remove what was begun and not finished."""
    for path in shelf.rglob(f"*{PART}"):
        path.unlink()


def put(shelf: Path, book: Book, records: Sequence[Record], end: int) -> None:
    """Write this book, whole or not at all. `end` is the offset that was read up to."""
    schema = SCHEMAS[book.topic].with_metadata({"end": str(end)})
    table = pa.Table.from_pylist([_row(each, book.topic) for each in records], schema=schema)
    path = shelf / book.name
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + PART)
    pq.write_table(table, beside, compression="zstd", row_group_size=GROUP_ROWS, write_page_checksum=True)
    beside.replace(path)


def end_of(shelf: Path, book: Book) -> int:
    """The offset that was read up to when this book was written. Raises Damaged."""
    with _opened(shelf / book.name) as opened:
        return int(opened.schema_arrow.metadata[b"end"])


def rows(shelf: Path, book: Book) -> int:
    """How many records it holds. Raises Damaged."""
    with _opened(shelf / book.name) as opened:
        return int(opened.metadata.num_rows)


def read(shelf: Path, book: Book) -> Iterator[Record]:
    """The records of this book, in the order of their offsets. Raises Damaged."""
    columns = [name for name, _ in RECORD]
    with _opened(shelf / book.name) as opened:
        for batch in opened.iter_batches(GROUP_ROWS, columns=columns):
            moments = batch.column("logged_at").cast(pa.int64()).to_pylist()
            for row, moment_ms in zip(batch.drop_columns(["logged_at"]).to_pylist(), moments, strict=True):
                yield _record(book.topic, row, moment_ms)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold this folder while it is written to, until this block or this process ends. Raises Occupied where another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("wb") as opened:
        try:
            flock(opened, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise Occupied(f"{folder}: another process writes there; wait until it has ended") from None
        yield


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as opened:
            yield opened
    except (pa.ArrowException, EOFError) as error:
        raise Damaged(f"{path}: is damaged: {error}; export again into another folder") from None
    except OSError as error:
        if error.errno is not None:  # what the system says; Arrow raises one without a number for what it cannot read
            raise
        raise Damaged(f"{path}: is damaged: {error}; export again into another folder") from None


def written(file: Path, data: bytes) -> None:
    """Write a small file, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(file.name + PART)
    beside.write_bytes(data)
    beside.replace(file)


def _record(topic: str, row: dict[str, Any], moment_ms: int) -> Record:
    headers: Headers = tuple((each["name"], each["value"]) for each in row["headers"])
    source = Source(topic, row["partition"], row["offset"])
    return Record(source, row["key"], row["value"], headers, moment_ms, tombstone=row["tombstone"])


def _row(record: Record, topic: str) -> dict[str, Any]:
    row = {
        "partition": record.source.partition,
        "offset": record.source.offset,
        "logged_at": record.timestamp_ms,
        "key": record.key,
        "value": record.value,
        "headers": [{"name": name, "value": value} for name, value in record.headers],
        "tombstone": record.tombstone,
    }
    return row if topic == CONTEXTS else row | _outcome(record, topic)


def _outcome(record: Record, topic: str) -> dict[str, Any]:
    src = Source.parse(names.header_text(record.headers, names.SRC) or "")
    row = {"src_partition": src.partition, "src_offset": src.offset, "reason": names.header_text(record.headers, names.REASON)}
    if topic != DECISIONS:
        return row
    try:
        decision = from_json(record.value)
        told = {name: decision[name] for name, _ in OUTCOME if name in decision and name != "model"}
        return row | told | {"model": (decision["model"] or {}).get("name")}
    except (ValueError, TypeError, KeyError, AttributeError):
        return row  # kept as it came; who decides by it says that it is no decision
