"""A run comes to one digest, however many processes made it, in whatever order, and however often it was stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
from pathlib import Path
from typing import Any

import pytest

from replay import index, shelf
from replay import plan as plans
from replay import run as running
from replay.again import Miss
from replay.chunk import DONE, Worker
from replay.compare import compare
from replay.export import ExportError
from replay.plan import Means, PlanError, read_manifest
from replay.run import folder_of, run
from replay.verify import verify
from schemas.decision import Decision
from schemas.topic import CONTEXTS, DECISIONS
from tests.unit.replay.recording import MODELS, Live, body, changed_means, means, plan

pytestmark = pytest.mark.unit


def silent(step: str, done: int, total: int) -> None:
    """Nobody looks."""


@pytest.fixture
async def live() -> Live:
    """Forty contexts in two partitions, some of them refused, handed on, repeated."""
    live = Live(scripts={"qwen": {"faults": {"garbage": "S3USD"}}})
    for number in range(40):
        fields: dict[str, Any] = {"context": {"volatility": 0.9}} if number % 4 == 3 else {}
        await live.ask(body(number % 34, **fields), partition=number % 2)
    await live.ask(b"no json")
    return live


@pytest.fixture
def ledger(live: Live, tmp_path: Path) -> Path:
    """All of it in ten files and more."""
    return live.put(tmp_path / "ledger")


def ran(source: Path, folder: Path, processes: int = 1, made: Means | None = None, **fields: Any) -> dict[str, Any]:
    return run(plan(source, **fields), made or means(), folder, processes, silent)


def test_processes_and_order_do_not_change_the_digest(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ran(ledger, tmp_path / "one")
    other = ran(ledger, tmp_path / "other", processes=2)
    own = shelf.books

    def shuffled(folder: Path, topic: str) -> list[shelf.Book]:
        found = own(folder, topic)
        random.Random(7).shuffle(found)
        return found

    monkeypatch.setattr(shelf, "books", shuffled)
    third = ran(ledger, tmp_path / "third")
    assert one["root_digest"] == other["root_digest"] == third["root_digest"]
    assert one["counts"] == other["counts"] == third["counts"]
    assert (one["counts"]["contexts"], one["counts"]["dead_letters"], one["engine_calls"]) == (41, 7, 0)


def test_a_run_that_was_stopped_goes_on_where_it_was(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ran(ledger, tmp_path / "whole")
    decide, decided = Worker.decide, list[shelf.Book]()

    def stopping(worker: Worker, book: shelf.Book) -> plans.Counts:
        if len(decided) == 3:
            raise KeyboardInterrupt
        decided.append(book)
        return decide(worker, book)

    monkeypatch.setattr(Worker, "decide", stopping)
    with pytest.raises(KeyboardInterrupt):
        ran(ledger, tmp_path / "halves")
    assert len(list((tmp_path / "halves" / DONE).iterdir())) == 3
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "halves" / DECISIONS).rglob("*.parquet")}
    decided.clear()
    monkeypatch.setattr(Worker, "decide", decide)
    assert ran(ledger, tmp_path / "halves")["root_digest"] == whole["root_digest"]
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what was done is not done again"


def test_the_same_plan_goes_on_in_its_folder_and_a_done_one_is_run_anew(ledger: Path, tmp_path: Path) -> None:
    first = folder_of(tmp_path / "runs", plan(ledger), means())
    assert folder_of(tmp_path / "runs", plan(ledger), means()) == first
    ran(ledger, first)
    second = folder_of(tmp_path / "runs", plan(ledger), means())
    assert second.name == first.name.replace("-1", "-2")
    assert folder_of(tmp_path / "runs", plan(ledger, symbols=("S1USD",)), means()).name[:12] != first.name[:12]
    for part in ("prompt", "tokenizer", "weights", "adapter", "sampling"):
        assert folder_of(tmp_path / "runs", plan(ledger), changed_means(part)).name[:12] != first.name[:12], part


def test_a_miss_stops_the_run_whoever_makes_it(ledger: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        with pytest.raises(Miss, match="another prompt"):
            ran(ledger, tmp_path / str(processes), processes, changed_means("prompt"))
        assert not (tmp_path / str(processes) / plans.FILE).exists()


def test_a_miss_that_may_be_is_counted(ledger: Path, tmp_path: Path) -> None:
    made = ran(ledger, tmp_path / "run", made=changed_means("prompt"), on_miss="abstain")
    assert made["counts"]["misses"] == made["counts"]["statuses"]["ABSTAINED_NO_MODEL"] > 0


def test_symbols_and_times_narrow_a_plan(ledger: Path, tmp_path: Path) -> None:
    made = ran(ledger, tmp_path / "symbols", symbols=("S1USD", "S2USD"))
    assert made["counts"]["contexts"] == 2
    last = max(each.timestamp_ms for book in shelf.books(ledger, CONTEXTS) for each in shelf.read(ledger, book))
    made = ran(ledger, tmp_path / "times", from_ms=last, to_ms=last + 1)
    assert 1 <= made["counts"]["contexts"] < 41


def test_a_context_without_an_outcome_is_left_out_and_counted(live: Live, tmp_path: Path) -> None:
    del live.outcomes[:4]
    counts = ran(live.put(tmp_path / "ledger"), tmp_path / "run")["counts"]
    assert counts["open"] == 4 and counts["contexts"] == 41


def test_a_manifest_says_what_the_run_depends_on_and_is_verified(ledger: Path, tmp_path: Path) -> None:
    made = ran(ledger, tmp_path / "run", processes=2)
    told = read_manifest(tmp_path / "run" / plans.FILE)
    assert told == json.loads(json.dumps(made))
    assert set(told["models"]) == set(MODELS) and told["versions"]["code"] and len(told["policies"]) == 1
    found = verify(tmp_path / "run" / plans.FILE, means(), 1, silent)
    assert found.holds and found.differs == {}
    assert not (tmp_path / "run" / "again").exists()


def test_a_manifest_that_does_not_hold_says_what_is_not_alike(ledger: Path, tmp_path: Path) -> None:
    ran(ledger, tmp_path / "run", on_miss="abstain")
    found = verify(tmp_path / "run", changed_means("weights"), 1, silent)
    assert not found.holds and set(found.differs) == {"counts", "models"}


def test_what_is_no_manifest_is_refused_by_name(tmp_path: Path) -> None:
    for text in ("", "[]", '{"form": "replay-manifest/1"}', '{"form": "other"}'):
        (tmp_path / plans.FILE).write_text(text)
        with pytest.raises(PlanError, match=str(tmp_path)):
            read_manifest(tmp_path)


def test_an_export_that_is_not_whole_is_not_replayed(ledger: Path, tmp_path: Path) -> None:
    told = json.loads((ledger / "export.json").read_text())
    (ledger / "export.json").write_text(json.dumps(told | {"complete": False}))
    with pytest.raises(ExportError, match="is not whole"):
        ran(ledger, tmp_path / "run")


def test_a_replay_differs_in_nothing_from_what_was_recorded(ledger: Path, tmp_path: Path) -> None:
    ran(ledger, tmp_path / "run")
    found = compare(ledger, tmp_path / "run")
    assert found.decisions == found.alike > 30
    assert (found.different, found.only_a, found.only_b) == (0, 0, 0)


def test_a_comparison_says_which_differ_and_what_made_them(ledger: Path, tmp_path: Path) -> None:
    ran(ledger, tmp_path / "one")
    ran(ledger, tmp_path / "two", min_confidence=0.99)
    ran(ledger, tmp_path / "three", made=changed_means("prompt"), on_miss="abstain")
    found = compare(tmp_path / "one", tmp_path / "two").document()
    assert set(found["by_cause"]) == {"threshold"} and found["different"] > 0
    assert found["examples"][0]["differs"]["status"] == ["DECIDED", "ABSTAINED_LOW_CONFIDENCE"]
    found = compare(tmp_path / "one", tmp_path / "three" / plans.FILE).document()
    assert set(found["by_cause"]) == {"models asked"}
    ran(ledger, tmp_path / "four", symbols=("S1USD",))
    assert compare(tmp_path / "four", tmp_path / "one").only_b == found["decisions"] - 1


def test_an_index_is_made_again_where_it_is_not_the_one_of_its_files(ledger: Path, tmp_path: Path) -> None:
    assert index.flaw(ledger) == "there is none"
    index.build(ledger, lambda done, total: None)
    assert index.flaw(ledger) is None
    whole = (ledger / index.FILE).read_bytes()
    for spoiled in (whole[:-4096], whole.replace(b"scripted/1", b"scripted/2", 1), b"no database"):
        (ledger / index.FILE).write_bytes(spoiled)
        assert "damaged" in (index.flaw(ledger) or "")
    assert ran(ledger, tmp_path / "run")["counts"]["decisions"] == 34
    assert index.flaw(ledger) is None, "the run made it again"
    (ledger / shelf.books(ledger, DECISIONS)[0].name).unlink()
    assert index.flaw(ledger) == "the files beside it are others"


def test_an_index_knows_every_generation_by_its_key_and_an_answer_before_a_failure(ledger: Path) -> None:
    index.build(ledger, lambda done, total: None)
    found = index.Index(ledger)
    keys: set[str] = set()
    for outcome in found.all_outcomes():
        if outcome.reason is None:
            held = Decision.from_bytes(outcome.value).generation
            keys |= {each for each in (held.key, *(failed.key for failed in held.failed)) if each} if held else set()
    assert found.counts()["generations"] == len(keys)
    for key in keys:
        decision, attempt = found.generation(key) or (None, 0)
        assert decision is not None and decision.generation is not None
        own = decision.generation if attempt == index.ANSWERED else decision.generation.failed[attempt]
        assert own.key == key
    assert found.generation("0" * 64) is None
    found.close()


def test_a_process_that_dies_stops_the_run_with_a_sentence(ledger: Path, tmp_path: Path) -> None:
    with pytest.raises(running.Stopped, match="goes on where it was"):
        run(plan(ledger), Means(means().identities, _die), tmp_path / "run", 2, silent)


def _die() -> Any:
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return means().choose_of()
