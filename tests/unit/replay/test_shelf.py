"""A record comes back from a file as it was put there, and a file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from replay import shelf
from replay.shelf import Book
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DECISIONS
from tests.unit.replay.recording import Live, body

pytestmark = pytest.mark.unit

NOON_MS = 1_700_000_000_123


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    records = [
        Record(Source(CONTEXTS, 3, 17), b"bot:S", b'{"a":1}', (("src", b"x"), ("odd", b"\xff\x00")), NOON_MS),
        Record(Source(CONTEXTS, 3, 19), None, b"", (), NOON_MS + 1, tombstone=True),
    ]
    book = Book(CONTEXTS, shelf.day_of(NOON_MS), 3, 17)
    shelf.put(tmp_path, book, records, end=25)
    assert list(shelf.read(tmp_path, book)) == records
    assert (shelf.end_of(tmp_path, book), shelf.rows(tmp_path, book)) == (25, 2)
    assert shelf.books(tmp_path, CONTEXTS) == [book]
    assert book.name == "contexts/day=2023-11-14/00003-00000000000000000017.parquet"


def test_what_was_begun_and_not_finished_is_swept_away_and_never_taken_for_a_file(tmp_path: Path) -> None:
    begun = tmp_path / CONTEXTS / "day=2023-11-14" / f"00003-00000000000000000017.parquet{shelf.PART}"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"half")
    assert shelf.books(tmp_path, CONTEXTS) == []
    shelf.sweep(tmp_path)
    assert not begun.exists()


async def test_a_decision_can_be_asked_for_by_what_it_says(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0))
    await live.ask(body(1, ttl_ms=-1))
    folder = live.put(tmp_path)
    found = pq.read_table(folder / shelf.books(folder, DECISIONS)[0].name).to_pylist()
    decision = live.decisions()[0]
    assert [(each["symbol"], each["status"], each["src_offset"]) for each in found] == [
        ("S0USD", str(decision.status), 0), ("S1USD", "REJECTED", 3),
    ]  # fmt: skip
    assert [each["model"] for each in found] == ["deepseek", None]
