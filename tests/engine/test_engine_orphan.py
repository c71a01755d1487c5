"""A worker that is killed leaves no engine behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.engine

WORKER = """
import asyncio, os
from pathlib import Path
from workers.catalogue import load_catalogue, serve
from workers.engine import build_engine, prepare_environment
folder = Path("deploy/models")
served = serve(load_catalogue(folder)["phi3"], folder, None)
prepare_environment("vllm", served)
async def main():
    engine = build_engine("vllm", served)  # kept: an engine that nobody holds ends
    await engine.start()
    print("ready", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
GONE_WITHIN_S = 20.0


def test_the_engine_ends_with_the_process_that_started_it() -> None:
    root = Path(__file__).resolve().parents[2]
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=root, stdout=subprocess.PIPE, text=True, env=_environment())
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip().endswith("ready")
        cores = _children(worker.pid)
        assert cores
    finally:
        worker.kill()
        worker.communicate(timeout=30)
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while (left := [pid for pid in cores if _runs(pid)]) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "."}


def _children(pid: int) -> list[int]:
    # By each process' parent: the kernel's own lists of children go by thread, and miss those whose thread has ended.
    return [child.pid for child in psutil.Process(pid).children()]


def _runs(pid: int) -> bool:
    """Whether it is a process still, and not only an entry that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
