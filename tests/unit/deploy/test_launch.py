"""How long a process that keeps failing is held back before it starts again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.launch import Tally, next_tally, pause_s

pytestmark = pytest.mark.unit

NEVER = 0.0


def starts(*times_s: float, progressed_at: float = NEVER) -> Tally:
    """The count after starts at these times, in seconds."""
    tally: Tally | None = None
    for pid, now in enumerate(times_s):
        tally = next_tally(tally, progressed_at, pid, now)
    assert tally is not None
    return tally


def test_the_first_start_is_no_restart_and_is_not_held_back() -> None:
    tally = starts(100.0)
    assert (tally["starts"], tally["failures"], tally["paused_until"]) == (1, 0, 100.0)


@pytest.mark.parametrize("failures", [1, 2])
def test_a_process_is_restarted_at_once_after_its_first_failures(failures: int) -> None:
    tally = starts(*(100.0 + second for second in range(failures + 1)))
    assert tally["failures"] == failures
    assert tally["paused_until"] == tally["since"]


def test_pauses_grow_after_three_failures_and_stop_growing_at_half_a_minute() -> None:
    assert [pause_s(failures) for failures in range(10)] == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]
    assert pause_s(10_000) == 30


def test_the_life_of_a_process_that_was_held_back_counts_from_the_end_of_the_pause() -> None:
    tally = starts(100.0, 101.0, 102.0, 103.0)
    assert tally["paused_until"] == 104.0
    assert next_tally(tally, NEVER, 9, 104.0 + 19.9)["failures"] == 4
    assert next_tally(tally, NEVER, 9, 104.0 + 20.1)["failures"] == 0


def test_progress_since_the_last_start_forgives_every_failure() -> None:
    tally = starts(100.0, 101.0, 102.0)
    assert next_tally(tally, 102.5, 9, 103.0)["failures"] == 0
    assert next_tally(tally, 101.5, 9, 103.0)["failures"] == 3


def test_every_start_is_counted_whatever_became_of_it() -> None:
    assert starts(0.0, 1.0, 100.0, 200.0, 201.0)["starts"] == 5


def test_a_process_has_what_was_set_where_the_stack_was_started_and_its_own(tmp_path: Path) -> None:
    show = "import json, os; print(json.dumps([os.environ.get(name) for name in ('TRADING_LLM_GPU_PLAN', 'TRADING_LLM_MODEL')]))"
    spec = {
        "command": [sys.executable, "-c", show],
        "environment": {"TRADING_LLM_MODEL": "phi3"},
        "tally": str(tmp_path / "tally"),
        "progress": str(tmp_path / "progress"),
    }
    launch = f"from deploy.local.launch import run; run({spec!r})"
    told = os.environ | {"TRADING_LLM_GPU_PLAN": "/somewhere/gpu.json"}
    done = subprocess.run([sys.executable, "-c", launch], env=told, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == ["/somewhere/gpu.json", "phi3"]
