"""The index of generations: of its files, and of two answers the one that was given first."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from replay import index, shelf
from replay.index import ANSWERS, Index
from replay.shelf import Book
from schemas.decision import Decision
from schemas.topic import DECISIONS
from tests.unit.replay.recording import Live, body

pytestmark = pytest.mark.unit


def silent(done: int, total: int) -> None:
    """Nobody looks."""


@pytest.fixture
async def asked() -> tuple[Live, Decision]:
    """One context that was answered, and its decision."""
    live = Live()
    await live.ask(body(0))
    return live, live.decisions()[0]


def answer(folder: Path, live: Live, run_id: str, text: str, at_ms: int) -> None:
    """Keep another answer to the same question, as a run that asks again does."""
    (made,) = live.decisions()
    assert made.generation is not None
    told = made.model_copy(update={"generation": made.generation.model_copy(update={"text": text})})
    record = replace(live.outcomes[0], value=told.to_bytes(), timestamp_ms=at_ms)
    shelf.put(folder / ANSWERS / run_id, Book(DECISIONS, shelf.day_of(at_ms), 0, 0), [record], 1)


def found(folder: Path, key: str) -> str:
    with closing(Index(folder)) as opened:
        held = opened.generation(key)
    assert held is not None and held[0].generation is not None
    return held[0].generation.text


@pytest.mark.parametrize(("first", "second"), [("run-a", "run-f"), ("run-f", "run-a")])
async def test_of_two_answers_the_first_one_stands_whatever_their_runs_are_called(
    asked: tuple[Live, Decision], first: str, second: str, tmp_path: Path
) -> None:
    live, decision = asked
    assert decision.generation is not None and decision.generation.key is not None
    answer(tmp_path, live, first, "first", 1_000)
    answer(tmp_path, live, second, "second", 2_000)
    index.build(tmp_path, silent)
    assert found(tmp_path, decision.generation.key) == "first"


async def test_an_answer_that_comes_while_an_index_is_made_makes_it_an_older_one(
    asked: tuple[Live, Decision], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, _ = asked
    live.put(tmp_path)
    whole = index._answers

    def late(folder: Path):  # type: ignore[no-untyped-def]
        yield from whole(folder)
        answer(tmp_path, live, "late", "late", 3_000)

    monkeypatch.setattr(index, "_answers", late)
    index.build(tmp_path, silent)
    assert index.flaw(tmp_path) == "the files beside it are others"
    monkeypatch.undo()
    index.build(tmp_path, silent)
    assert index.flaw(tmp_path) is None
