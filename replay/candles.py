"""Candle files as contexts: what a bot would have asked at each close, and nothing in them that was not known by then."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deciders.quoting import clean_text
from replay import export, shelf
from replay.dates import is_moment
from replay.export import RECORDS_MAX, Export
from replay.shelf import Book
from schemas.canonical import canonical_json, digest, rfc3339
from schemas.context import SYMBOL, read_event
from schemas.market import EPOCH_MS_MAX, EPOCH_MS_MIN, instant_ms
from schemas.question import sender_key
from schemas.record import Record
from schemas.refusal import DeadLettered, Rejected
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS

COLUMNS: Final = ("open_time_ms", "open", "high", "low", "close", "volume")
OWN: Final = ("price", "volume", "interval", "candles", "position", "account", "news", "indicators")  # no column of its own
DIGITS: Final = re.compile(r"[-+.0-9Ee]{1,64}", re.ASCII)  # Python would take 1_0, nan and the digits of other scripts, too
BOT_ID: Final = "candles"
FORM: Final = 2  # of what is checked: contexts that were made before that was so are made again
WINDOW: Final = 30  # candles a context carries
UNITS_MS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}


class CandleError(ValueError):
    """A file cannot be taken; the text names it, the line, the column and the rule."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line: its candle, and what stands in additional columns, by name."""

    line: int
    candle: tuple[int, float, float, float, float, float]
    more: Mapping[str, Any]

    @property
    def opens_ms(self) -> int:
        """When its candle opens."""
        return self.candle[0]


def source_of(files: Mapping[str, Path], every: int, kept: Path) -> Path:
    """A folder of contexts as an export has them, made of these files: symbol by file. Raises CandleError; then none is.

    Every context was judged as a live one is before the folder counts as whole.
    """
    told = {symbol: digest(_bytes(path)) for symbol, path in files.items()}
    folder = kept / f"candles-{digest(canonical_json([told, every, WINDOW, FORM]))[:12]}"
    if (folder / export.FILE).exists():
        return folder
    with shelf.alone(folder):
        shelf.sweep(folder)
        moments: list[int] = []
        for number, (symbol, path) in enumerate(sorted(files.items())):
            own = list(_put(folder, number, symbol, path, every))
            if not own:
                raise CandleError(f"{path}: fewer than {WINDOW} candles: no context can be made")
            moments += own
        records = {CONTEXTS: len(moments), DECISIONS: 0, DEAD_LETTERS: 0}
        done = Export(min(moments), max(moments) + 1, (), complete=True, records=records)
        shelf.written(folder / export.FILE, done.to_bytes())
    return folder


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CandleError(f"{path}: {error}") from None


def contexts_of(symbol: str, file: Path, partition: int = 0, every: int = 1) -> Iterator[Record]:
    """A context at the close of every so many candles, oldest first, each with the last WINDOW candles. Raises CandleError.

    Every moment of the file is checked before the first context is given out.
    """
    if SYMBOL.fullmatch(symbol) is None:
        raise CandleError(f"{symbol!r}: a symbol must be 1 to 64 of A-Z a-z 0-9 . _ - / :")
    step_ms = step_of(file)
    for row in rows_of(file):
        _check_moments(file, row, row.opens_ms + step_ms)
    window: deque[Row] = deque(maxlen=WINDOW)
    for number, row in enumerate(rows_of(file), start=1 - WINDOW):
        window.append(row)
        if number >= 0 and number % every == 0:
            yield _record(file, symbol, window, step_ms, Source(CONTEXTS, partition, number))


def _put(folder: Path, partition: int, symbol: str, file: Path, every: int) -> Iterator[int]:
    """Write the contexts of a file, by day; yields when each was."""
    found = contexts_of(symbol, file, partition, every)
    for day, of_day in itertools.groupby(found, lambda each: shelf.day_of(each.timestamp_ms)):
        for records in _batches(of_day):
            first = records[0].source
            shelf.put(folder, Book(CONTEXTS, day, partition, first.offset), records, records[-1].source.offset + 1)
            yield from (each.timestamp_ms for each in records)


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(itertools.islice(records, RECORDS_MAX)):
        yield batch


def _record(file: Path, symbol: str, window: Sequence[Row], step_ms: int, source: Source) -> Record:
    last = window[-1]
    as_of_ms = last.opens_ms + step_ms
    context = dict(last.more) | {
        "price": last.candle[4],
        "volume": last.candle[5],
        "interval": _interval(step_ms),
        "candles": [list(row.candle) for row in window],
    }
    named = {"bot_id": BOT_ID, "symbol": symbol, "context_id": f"{symbol}@{as_of_ms}"}
    value = canonical_json(named | {"as_of": rfc3339(as_of_ms), "context": context})
    try:
        read_event(value, as_of_ms)
    except (Rejected, DeadLettered) as refusal:
        raise CandleError(f"{file} line {last.line}: {refusal}") from None
    return Record(source, sender_key(BOT_ID, symbol), value, (), as_of_ms)


def _check_moments(file: Path, row: Row, as_of_ms: int) -> None:
    """A moment must have been there at the close: else a context would know what came later.

    A text that is one counts in any column, a number in one whose name says so; such a column holds nothing else.
    """
    for name, value in row.more.items():
        try:
            moment_ms = instant_ms(value)
        except ValueError as error:
            if not is_moment(name):
                continue
            raise CandleError(f"{file} line {row.line}: {name}: {error}") from None
        if moment_ms > as_of_ms and (isinstance(value, str) or is_moment(name)):
            told = f"{rfc3339(moment_ms)} is newer than the candle's close {rfc3339(as_of_ms)}"
            raise CandleError(f"{file} line {row.line}: {name}: {told}: a context would know the future")


def step_of(file: Path) -> int:
    """The candles' length, ms: the smallest step between two, of which gaps are multiples. Raises CandleError.

    Where they are not, as with months, or with days that end at a local midnight, some candle is longer than the smallest step,
    and a context at its supposed close would know what came later.
    """
    times = [row.opens_ms for row in rows_of(file)]
    steps = [after - before for before, after in itertools.pairwise(times)]
    if not steps:
        raise CandleError(f"{file}: must hold two candles or more")
    step_ms = min(steps)
    if step_ms % 1_000:
        raise CandleError(f"{file}: open_time_ms: the smallest step is {step_ms} ms; candles are whole seconds long")
    if uneven := next((each for each in steps if each % step_ms), None):
        told = f"a step of {uneven} ms is no multiple of the smallest, {step_ms} ms"
        raise CandleError(f"{file}: open_time_ms: {told}: when a candle closes cannot be told")
    if times[-1] + step_ms > EPOCH_MS_MAX:
        raise CandleError(f"{file}: open_time_ms: the last candle must close before the year 10000")
    return step_ms


def rows_of(file: Path) -> Iterator[Row]:
    """The lines below the header, in their order, which is that of time. Raises CandleError."""
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            reader = csv.reader(opened)
            more = _header(file, next(reader, []))
            before_ms = -1
            for cells in reader:
                row = _row(file, reader.line_num, cells, more)
                if row.opens_ms <= before_ms:
                    raise CandleError(
                        f"{file} line {row.line}: open_time_ms: must be later than in the line before: oldest first"
                    )
                before_ms = row.opens_ms
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CandleError(f"{file}: {error}") from None


def _header(file: Path, names: list[str]) -> list[str]:
    """The additional columns' names."""
    if tuple(names[: len(COLUMNS)]) != COLUMNS:
        raise CandleError(f"{file} line 1: must begin with {','.join(COLUMNS)}, not {','.join(names)[:200]}")
    more = names[len(COLUMNS) :]
    for name in more:
        if not name or name in OWN or more.count(name) > 1:
            raise CandleError(
                f"{file} line 1: {name!r} can be no additional column: it is empty, twice there, or made of the candles"
            )
        if clean_text(name).strip() != name:  # it would read like another one, and its moments would not be looked at
            raise CandleError(f"{file} line 1: {name!r} must be written plainly, without spaces around it")
    return more


def _row(file: Path, line: int, cells: list[str], more: list[str]) -> Row:
    if len(cells) != len(COLUMNS) + len(more):
        raise CandleError(f"{file} line {line}: must have {len(COLUMNS) + len(more)} cells, not {len(cells)}")
    named = dict(zip(COLUMNS, cells, strict=False))
    numbers = [_number(file, line, name, cell) for name, cell in named.items()]
    opens, high, low = numbers[0], numbers[2], numbers[3]
    if not opens.is_integer():
        raise CandleError(f"{file} line {line}: open_time_ms: must be an integer, not {cells[0]!r}")
    if not EPOCH_MS_MIN <= opens <= EPOCH_MS_MAX:
        raise CandleError(f"{file} line {line}: open_time_ms: must be in epoch milliseconds, not {cells[0]!r}")
    if not low <= min(numbers[1], numbers[4]) <= max(numbers[1], numbers[4]) <= high:
        raise CandleError(f"{file} line {line}: low, high: must enclose open and close")
    rest = {name: _free(cell) for name, cell in zip(more, cells[len(COLUMNS) :], strict=True) if cell}
    return Row(line, (int(opens), *numbers[1:]), rest)  # type: ignore[arg-type]


def _number(file: Path, line: int, name: str, cell: str) -> float:
    number = _free(cell)
    if isinstance(number, str):
        raise CandleError(f"{file} line {line}: {name}: must be a number, not {cell[:64]!r}")
    return float(number)


def _free(cell: str) -> int | float | str:
    """A cell of an additional column: a number where it is one."""
    if DIGITS.fullmatch(cell) is None:
        return cell
    for kind in (int, float):
        try:
            number = kind(cell)
        except ValueError:
            continue
        return number if math.isfinite(number) else cell
    return cell


def _interval(step_ms: int) -> str:
    unit = next(unit for unit, of_ms in UNITS_MS.items() if step_ms % of_ms == 0)
    return f"{step_ms // UNITS_MS[unit]}{unit}"
