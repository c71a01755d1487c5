"""Contexts of candle files: each knows what was there at its close, and a file that knows more is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from backbone.settings import REPOSITORY
from replay import export, shelf
from replay.candles import WINDOW, CandleError, contexts_of, source_of
from schemas.canonical import rfc3339
from schemas.context import read_context
from schemas.topic import CONTEXTS

pytestmark = pytest.mark.unit

REAL = REPOSITORY / "examples" / "market-data"
BITCOIN, ETHER = REAL / "bybit-BTCUSDT-1m-20221213.csv", REAL / "coinbase-ETHUSD-1m-20180404-05.csv"
HEADER = "open_time_ms,open,high,low,close,volume"
FIRST_MS, STEP_MS = 1_670_889_600_000, 60_000
LINES = WINDOW + 5


def candles(folder: Path, *more: str, change: Callable[[int, str], str] = lambda line, text: text) -> Path:
    """A file of made-up candles, with such additional columns; `change` is given each line below the header, from 2 on."""
    rows = [",".join((str(FIRST_MS + number * STEP_MS), "10", "12", "9", "11", "3", *more[1:])) for number in range(LINES)]
    file = folder / "candles.csv"
    lines = [HEADER + (f",{more[0]}" if more else ""), *(change(line, text) for line, text in enumerate(rows, start=2))]
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("file", [BITCOIN, ETHER])
def test_real_candles_become_contexts_that_know_only_what_had_closed(file: Path) -> None:
    made = list(contexts_of("S/USD", file, every=7))
    rows = len(file.read_text().splitlines()) - 1
    assert len(made) == (rows - WINDOW) // 7 + 1
    for record in made:
        event = read_context(record)
        assert event.as_of == record.timestamp_ms == event.context.candles[-1].t + STEP_MS
        assert len(event.context.candles) == WINDOW and event.context.price == event.context.candles[-1].c
    assert all(after.timestamp_ms > before.timestamp_ms for before, after in pairwise(made))
    assert len({read_context(each).context_id for each in made}) == len(made)


def test_an_additional_column_is_handed_on_by_its_name(tmp_path: Path) -> None:
    file = candles(tmp_path, "rsi,mood", "55.5", "calm")
    context = json.loads(next(contexts_of("S", file)).value)["context"]
    assert (context["rsi"], context["mood"]) == (55.5, "calm")


@pytest.mark.parametrize(
    "name",
    ["published_at", "Published_At", "seen_time", "ACK_MS", "timestamp", "date", "closeTime", "close_time_utc", "ts", "event"],
)
def test_no_context_is_given_out_of_a_file_that_knows_the_future_further_down(tmp_path: Path, name: str) -> None:
    def change(number: int, text: str) -> str:
        return f"{text},{rfc3339(FIRST_MS + (10**9 if number == LINES + 1 else 0))}"

    contexts = contexts_of("S", candles(tmp_path, name, change=change))
    with pytest.raises(CandleError, match=rf"line {LINES + 1}: {name}: .* is newer than the candle's close"):
        next(contexts)


def test_a_number_is_a_moment_where_its_column_says_so(tmp_path: Path) -> None:
    later = str(FIRST_MS + 10**9)
    assert next(contexts_of("S", candles(tmp_path, "cap", later)))
    for name in ("listed_time", "updatedAt", "open_ts", "Published_At", "SEEN_TIME", "ACK_MS", "closeTimeMs"):
        with pytest.raises(CandleError, match=f"line 2: {name}: .* is newer"):
            next(contexts_of("S", candles(tmp_path, name, later)))


def test_a_file_that_makes_no_context_is_named_beside_one_that_does(tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("\n".join(candles(tmp_path).read_text().splitlines()[:9]) + "\n")
    with pytest.raises(CandleError, match=r"short.csv: fewer than 30 candles"):
        source_of({"A": candles(tmp_path), "B": short}, 1, tmp_path / "kept")


def test_candles_of_uneven_length_are_refused_since_their_closes_cannot_be_told(tmp_path: Path) -> None:
    months = [int(datetime(2020 + n // 12, n % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000) for n in range(LINES)]
    file = candles(tmp_path, change=lambda number, text: f"{months[number - 2]},10,12,9,11,3")
    with pytest.raises(CandleError, match=r"open_time_ms: a step of 26\d+ ms is no multiple of the smallest, 24\d+ ms"):
        next(contexts_of("S", file))


@pytest.mark.parametrize("cell", ["9" * 400, "[" * 100_000, "1_0", "nan", "-", "true", "\u0661"])
def test_what_an_additional_column_holds_that_is_no_number_is_handed_on_as_text(tmp_path: Path, cell: str) -> None:
    file = candles(tmp_path, "more", "1.5", change=lambda number, text: f"{text[:-4]},{cell}" if number == WINDOW + 1 else text)
    if len(cell) > 50_000:
        with pytest.raises(CandleError, match=rf"line {WINDOW + 1}: "):
            next(contexts_of("S", file))
    else:
        assert json.loads(next(contexts_of("S", file)).value)["context"]["more"] == cell


@pytest.mark.parametrize("late", [1, 3_600_000])
@pytest.mark.parametrize("line", [2, 20, LINES + 1])
def test_a_moment_after_the_candles_close_refuses_the_file_by_name(tmp_path: Path, line: int, late: int) -> None:
    def change(number: int, text: str) -> str:
        closes_ms = FIRST_MS + (number - 2) * STEP_MS + STEP_MS
        return f"{text},{rfc3339(closes_ms + (late if number == line else 0))}"

    file = candles(tmp_path, "published_at", change=change)
    with pytest.raises(CandleError, match=rf"candles.csv line {line}: published_at: .* is newer than the candle's close"):
        source_of({"S": file}, 1, tmp_path)
    assert not [*tmp_path.rglob(export.FILE)], "nothing of it counts as a source"


@pytest.mark.parametrize(
    ("line", "text", "rule"),
    [
        (20, f"{FIRST_MS},10,12,9,11,3", "open_time_ms: must be later than in the line before"),
        (20, f"{FIRST_MS + 17 * STEP_MS},10,12,9,11,3", "open_time_ms: must be later"),
        (2, "soon,10,12,9,11,3", "open_time_ms: must be a number"),
        (2, f"{FIRST_MS}.5,10,12,9,11,3", "open_time_ms: must be an integer"),
        (2, "1670889600,10,12,9,11,3", "open_time_ms: must be in epoch milliseconds"),
        (3, "999999999999999999,10,12,9,11,3", "open_time_ms: must be in epoch milliseconds"),
        (4, f"{FIRST_MS + 2 * STEP_MS},1_0,12,9,11,3", "open: must be a number"),
        (4, f"{FIRST_MS + 2 * STEP_MS},10,12,9,nan,3", "close: must be a number"),
        (4, f"{FIRST_MS + 2 * STEP_MS},10,12,9,13,3", "low, high: must enclose"),
        (4, f"{FIRST_MS + 2 * STEP_MS},10,12,9,11", "must have 6 cells"),
        (31, f"{FIRST_MS + 29 * STEP_MS},10,12,9,11,-3", r"context.volume|candles"),
    ],
)
def test_a_bad_line_is_refused_by_name(tmp_path: Path, line: int, text: str, rule: str) -> None:
    file = candles(tmp_path, change=lambda number, own: text if number == line else own)
    with pytest.raises(CandleError, match=rf"candles.csv line {line}: .*({rule})"):
        list(contexts_of("S", file))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "line 1: must begin with"),
        (HEADER.replace("low,", ""), "line 1: must begin with"),
        (f"{HEADER},price\n", "'price' can be no additional column"),
        (f"{HEADER},rsi,rsi\n", "'rsi' can be no additional column"),
        (f"{HEADER},published_at \n", "'published_at ' must be written plainly"),
        (f"{HEADER}\n253402300740000,1,1,1,1,1\n253402300799000,1,1,1,1,1\n", "must close before the year 10000"),
        (f"{HEADER}\n", "must hold two candles or more"),
        (f"{HEADER}\n1670889600000,1,1,1,1,1\n1670889600500,1,1,1,1,1\n", "whole seconds"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "candles.csv"
    file.write_text(text)
    with pytest.raises(CandleError, match=rule):
        list(contexts_of("S", file))


def test_a_file_with_too_few_candles_and_a_symbol_that_is_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("\n".join(candles(tmp_path).read_text().splitlines()[:WINDOW]))
    with pytest.raises(CandleError, match="fewer than 30 candles"):
        source_of({"S": file}, 1, tmp_path)
    with pytest.raises(CandleError, match="a symbol must be"):
        source_of({"B C": BITCOIN}, 1, tmp_path)


def test_files_become_a_whole_source_once(tmp_path: Path) -> None:
    files = {"BTCUSDT": BITCOIN, "ETHUSD": ETHER}
    folder = source_of(files, 5, tmp_path)
    export.require_whole(folder)
    held = [record for book in shelf.books(folder, CONTEXTS) for record in shelf.read(folder, book)]
    made = [record for number, name in enumerate(sorted(files)) for record in contexts_of(name, files[name], number, 5)]
    assert sorted(held, key=lambda each: each.source) == made
    assert source_of(files, 5, tmp_path) == folder != source_of(files, 6, tmp_path)
