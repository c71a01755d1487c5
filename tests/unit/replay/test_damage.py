"""What is lost, damaged or in another's hands stops a replay with a sentence: it never comes to another digest instead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from backbone.settings import REPOSITORY
from replay import index, shelf
from replay import plan as plans
from replay.chunk import DONE
from replay.export import FILE, ExportError
from replay.plan import PlanError, read_manifest
from replay.run import folder_of, run
from replay.shelf import Damaged, Occupied
from replay.verify import verify
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS
from tests.unit.replay.recording import Live, body, means, now_ms, plan
from tests.unit.replay.test_run import ran, silent

pytestmark = pytest.mark.unit

END_S_MAX = 20.0
# A first process that says who its second ones are, and then is killed: they decide nothing and would wait for ever.
FIRST = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from replay.run import _begin
from tests.unit.replay.recording import means, plan
if __name__ == "__main__":
    ledger, folder = map(Path, sys.argv[1:])
    arguments = (plan(ledger), means(), folder, "run-1")
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=_begin, initargs=arguments)
    done = [pool.submit(time.sleep, 1) for _ in range(2)]
    [each.result() for each in done]
    print(*(each.pid for each in multiprocessing.active_children()), flush=True)
    time.sleep(600)
"""

# Both of its second ones stop in the middle of the run, so that Ctrl-C comes while all are at work.
INTERRUPTED = """
import sys
from pathlib import Path
from backbone import stops
from replay.run import run
from tests.unit.replay.recording import means, plan
stops.arm("replay.after_chunk=stop")
if __name__ == "__main__":
    ledger, folder = map(Path, sys.argv[1:])
    try:
        run(plan(ledger), means(), folder, 2, lambda step, done, total: None)
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


@pytest.fixture
async def live() -> Live:
    """Nine decisions and a dead letter."""
    live = Live()
    for number in range(9):
        await live.ask(body(number))
    await live.ask(b"no json")
    return live


@pytest.fixture
def ledger(live: Live, tmp_path: Path) -> Path:
    return live.put(tmp_path / "ledger")


@pytest.mark.parametrize("topic", [CONTEXTS, DECISIONS, DEAD_LETTERS])
def test_a_lost_file_of_an_export_is_no_gap_in_history(topic: str, ledger: Path, tmp_path: Path) -> None:
    ran(ledger, tmp_path / "run")
    (ledger / shelf.books(ledger, topic)[0].name).unlink()
    with pytest.raises(ExportError, match=f"records: must be .* of {topic}, as export.json says"):
        ran(ledger, tmp_path / "other")


@pytest.mark.parametrize("topic", [CONTEXTS, DECISIONS])
def test_a_file_that_was_cut_or_changed_is_named(topic: str, ledger: Path, tmp_path: Path) -> None:
    file = ledger / shelf.books(ledger, topic)[0].name
    whole = file.read_bytes()
    middle = whole.index(b"\x28\xb5\x2f\xfd") + 20  # inside the first page, which zstd begins so
    for spoiled in (whole[:-40], b"", whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
        file.write_bytes(spoiled)
        with pytest.raises(Damaged, match=f"{file.name}: is damaged"):
            ran(ledger, tmp_path / "run")


def test_a_decision_that_is_none_is_named_by_its_place(live: Live, tmp_path: Path) -> None:
    headers = live.outcomes[0].headers
    live.outcomes[0] = Record(Source(DECISIONS, 0, 0), b"k", b'{"model": 7}', headers, now_ms())
    ledger = live.put(tmp_path / "ledger")
    with pytest.raises(Damaged, match=r"decisions/0/0: .*no decision"):
        ran(ledger, tmp_path / "run")


def test_another_ledger_in_the_place_of_the_first_is_another_run(live: Live, ledger: Path, tmp_path: Path) -> None:
    first = folder_of(tmp_path / "runs", plan(ledger), means())
    told = json.loads((ledger / FILE).read_text())
    shelf.written(ledger / FILE, json.dumps(told | {"to_ms": told["to_ms"] + 1}).encode())
    assert folder_of(tmp_path / "runs", plan(ledger), means()).name[:12] != first.name[:12]


def test_two_processes_never_write_one_folder(ledger: Path, tmp_path: Path) -> None:
    with shelf.alone(ledger), pytest.raises(Occupied, match="another process writes there"):
        index.build(ledger, lambda done, total: None)
    made = ran(ledger, tmp_path / "run")
    with shelf.alone(tmp_path / "other"), pytest.raises(Occupied, match=str(tmp_path / "other")):
        ran(ledger, tmp_path / "other")
    assert ran(ledger, tmp_path / "other")["root_digest"] == made["root_digest"]
    with shelf.alone(tmp_path / "run"), pytest.raises(Occupied):
        verify(tmp_path / "run", means(), 1, silent)


def test_an_export_without_policies_says_so_however_many_decide(ledger: Path, tmp_path: Path) -> None:
    for file in (ledger / "policies").iterdir():
        file.write_bytes(b"\xff")
    for processes in (1, 2):
        with pytest.raises(PlanError, match="holds no policy: give one with --policy"):
            run(plan(ledger), means(), tmp_path / "run", processes, silent)


@pytest.mark.parametrize("name", plans.NEEDED)
def test_a_manifest_that_lacks_something_names_it(name: str, ledger: Path, tmp_path: Path) -> None:
    ran(ledger, tmp_path / "run")
    file = tmp_path / "run" / plans.FILE
    told = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in told.items() if key != name}))
    with pytest.raises(PlanError, match=f"{name}: is missing"):
        read_manifest(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match="is no manifest"):
        read_manifest(file)


def test_the_others_end_with_the_first_process_however_it_ends(ledger: Path, tmp_path: Path) -> None:
    index.build(ledger, lambda done, total: None)
    with started(FIRST, ledger, tmp_path / "run") as first:
        assert first.stdout is not None
        others = [int(each) for each in first.stdout.readline().split()]
        assert len(others) == 2 and all(map(runs, others))
        first.send_signal(signal.SIGKILL)
        end_s = time.monotonic() + END_S_MAX
        while any(map(runs, others)):
            assert time.monotonic() < end_s, f"{others} outlived the process that began them"
            time.sleep(0.05)


def test_ctrl_c_ends_all_processes_at_once_and_the_run_goes_on_from_there(ledger: Path, tmp_path: Path) -> None:
    whole = ran(ledger, tmp_path / "whole")
    with started(INTERRUPTED, ledger, tmp_path / "run") as first:
        end_s = time.monotonic() + END_S_MAX
        while len(list((tmp_path / "run" / DONE).glob("*.json"))) < 2:
            assert time.monotonic() < end_s, "two files were not decided in time"
            time.sleep(0.05)
        os.killpg(first.pid, signal.SIGINT)
        told, flaws = first.communicate(timeout=END_S_MAX)
        assert told == "stopped\n" and "Traceback" not in flaws, flaws
    assert ran(ledger, tmp_path / "run")["root_digest"] == whole["root_digest"]


async def test_a_context_with_two_outcomes_has_the_first_that_was_logged(live: Live, ledger: Path, tmp_path: Path) -> None:
    once = ran(ledger, tmp_path / "once")
    first, other = live.outcomes[:2]
    late = Record(Source(DECISIONS, 0, 90), other.key, other.value, first.headers, now_ms())
    letter = Record(Source(DEAD_LETTERS, 0, 91), b"k", b"", (*first.headers, ("reason", b"not_json")), now_ms())
    live.outcomes += [late, letter]
    twice = ran(live.put(tmp_path / "twice"), tmp_path / "run")
    assert (twice["root_digest"], twice["counts"]) == (once["root_digest"], once["counts"])


@contextmanager
def started(script: str, ledger: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A group of processes of its own."""
    file = folder.with_suffix(".py")
    file.write_text(script)
    command, environment = [sys.executable, file, ledger, folder], os.environ | {"PYTHONPATH": str(REPOSITORY)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=environment, start_new_session=True, stdout=pipe, stderr=pipe) as first:
        try:
            yield first
        finally:
            with suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
