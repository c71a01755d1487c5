"""A ledger of any length: a live run's contexts and what they came to, laid end to end, each time under names of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from replay import export, shelf
from replay.export import RECORDS_MAX, TOPICS, Export, Stretch
from replay.shelf import Book
from schemas import headers as names
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS
from tests.unit.replay.recording import HELD, POLICY, Live, body

DISTINCT: Final = 2_000  # different markets, so that no prompt is the one before
VOLATILE: Final = {"volatility": 0.9}  # goes to qwen, which fails at one symbol in forty
ENDS: Final = b'-"'  # what a name of this run ends with, and where the number of the time goes


async def lived(count: int = DISTINCT) -> Live:
    """A run with answers, fallbacks, expiries, halts, refusals and dead letters in it."""
    live = Live(scripts={"qwen": {"faults": {"garbage": "S39USD", "nan": "S79USD"}}})
    for number in range(count):
        await live.ask(_asked(number), late_ms=60_000 if number % 50 == 7 else 0)
    return live


def _asked(number: int) -> Any:
    if number % 200 == 11:
        return b"no json"
    fields: dict[str, Any] = {"symbol": f"S{number % 80}USD", "context_id": f"c-{number}-", "bot_id": f"bot-{number % 7}"}
    context = {"sentiment": number % 19 / 10 - 0.9} | (VOLATILE if number % 4 == 3 else {})
    if number % 50 == 3:
        fields["symbol"] = f"{HELD}USD"
    if number % 50 == 5:
        fields["ttl_ms"] = -1
    return body(number, context=context, **fields)


def lay(live: Live, folder: Path, count: int, partitions: int = 4) -> Path:
    """An export of `count` contexts of this run, over and over, on so many partitions."""
    each = -(-count // partitions)
    for partition in range(partitions):
        length = min(each, count - partition * each)
        _lay(live, folder, partition, partition * each, length)
    first_ms, last_ms = live.contexts[0].timestamp_ms, live.outcomes[-1].timestamp_ms
    found = {topic: sum(shelf.rows(folder, book) for book in shelf.books(folder, topic)) for topic in TOPICS}
    stretches = tuple(Stretch(topic, number, 0, each) for topic in TOPICS for number in range(partitions))
    whole = Export(first_ms - 86_400_000, last_ms + 1, stretches, complete=True, records=found)
    shelf.written(folder / export.FILE, whole.to_bytes())
    shelf.written(folder / "policies" / f"{POLICY.digest}.toml", POLICY.text.encode())
    return folder


def _lay(live: Live, folder: Path, partition: int, first: int, length: int) -> None:
    for start in range(0, length, RECORDS_MAX):
        numbers = range(start, min(start + RECORDS_MAX, length))
        pairs = list(_pairs(live, partition, first, numbers))
        _put(folder, [came for came, _ in pairs], numbers.stop)
        for topic in (DECISIONS, DEAD_LETTERS):
            _put(folder, [made for _, made in pairs if made.source.topic == topic], numbers.stop)


def _pairs(live: Live, partition: int, first: int, numbers: range) -> Iterator[tuple[Record, Record]]:
    """Each context with its outcome, under names that hold which time this is."""
    for offset in numbers:
        turn, at = divmod(first + offset, len(live.contexts))
        name, came, made = b'-%d"' % turn, live.contexts[at], live.outcomes[at]
        src = Source(CONTEXTS, partition, offset)
        headers = tuple((key, str(src).encode() if key == names.SRC else value) for key, value in made.headers)
        own = Source(made.source.topic, partition, offset)
        value = made.value if own.topic == DEAD_LETTERS else made.value.replace(ENDS, name)
        yield (
            Record(src, came.key, came.value.replace(ENDS, name), came.headers, came.timestamp_ms),
            Record(own, made.key, value, headers, made.timestamp_ms),
        )


def _put(folder: Path, records: Sequence[Record], end: int) -> None:
    if records:
        source, day = records[0].source, shelf.day_of(records[0].timestamp_ms)
        shelf.put(folder, Book(source.topic, day, source.partition, source.offset), records, end)
