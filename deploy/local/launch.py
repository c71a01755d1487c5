"""Becomes another program, after what must be done in its own process first. Run as a file, standard library only.

`launch.py tie PARENT COMMAND...`  the command ends (SIGTERM) when process PARENT does, even by kill -9.
`launch.py run SPEC`               the process that SPEC (JSON) describes, tied to its supervisor: what a dead
                                   predecessor left behind is ended, starts are counted, and a process that keeps
                                   failing is held back first.
The supervisor restarts whatever exits, at once; holding back is all that is added here.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TypedDict

PR_SET_PDEATHSIG = 1
FAILURES_AT_ONCE = 3
# Three failures in 60 s are three lives of less than 20 s.
SHORT_LIFE_S = 20.0
PAUSE_S_MAX = 30.0


class Spec(TypedDict):
    """One process of a stack."""

    name: str
    command: list[str]
    environment: dict[str, str]
    tally: str
    progress: str


class Tally(TypedDict):
    """What is known of a process's starts: `since` and `paused_until` in seconds of the epoch."""

    pid: int
    starts: int
    failures: int
    since: float
    paused_until: float


def pause_s(failures: int) -> float:
    """How long to hold back after so many failures in a row: none for three, then 1, 2, 4, ... at most 30 s."""
    return 0.0 if failures < FAILURES_AT_ONCE else min(PAUSE_S_MAX, 2.0 ** min(failures - FAILURES_AT_ONCE, 8))


def next_tally(last: Tally | None, progressed_at: float, pid: int, now: float) -> Tally:
    """The count for a process that starts now. A short life without progress is a failure, else the count is anew."""
    if last is None:
        return Tally(pid=pid, starts=1, failures=0, since=now, paused_until=now)
    began = last["paused_until"]
    failed = now - began < SHORT_LIFE_S and progressed_at < began
    failures = last["failures"] + 1 if failed else 0
    return Tally(pid=pid, starts=last["starts"] + 1, failures=failures, since=now, paused_until=now + pause_s(failures))


def read_tally(path: Path) -> Tally | None:
    """The count as it stands, or None before the first start."""
    try:
        tally: Tally = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return tally


def tie_to(parent: int) -> None:
    """End this process, and what it becomes, when its parent ends; at once if it has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(f"launch: process {parent} ended before its child began")


def end_leftovers(group: int) -> None:
    """Kill what a dead predecessor left in its process group, if it is of our session (numbers are used again)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and entry.name != str(os.getpid()):
            member = int(entry.name)
            try:
                if os.getpgid(member) == group and os.getsid(member) == os.getsid(0):
                    os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                continue


def run(spec: Spec) -> None:
    """Count this start, hold back if need be, and become the process. Does not return."""
    tie_to(os.getppid())
    path = Path(spec["tally"])
    last = read_tally(path)
    if last is not None:
        end_leftovers(last["pid"])
    progress = Path(spec["progress"])
    progressed_at = progress.stat().st_mtime if progress.exists() else 0.0
    tally = next_tally(last, progressed_at, os.getpid(), time.time())
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(tally))
    fresh.replace(path)
    time.sleep(max(0.0, tally["paused_until"] - time.time()))
    os.execvpe(spec["command"][0], spec["command"], {**os.environ, **spec["environment"]})


def main(arguments: list[str]) -> None:
    """Do what the first argument says. Does not return."""
    if arguments[0] == "tie":
        tie_to(int(arguments[1]))
        os.execvp(arguments[2], arguments[2:])
    run(json.loads(Path(arguments[1]).read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
