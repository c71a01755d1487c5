"""What processes have used: CPU time and memory, children included, from the kernel's own accounts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start, also of children that have ended, and megabytes resident now.

    `pss_mb` counts a page that several processes share once, in shares: a forked engine shares most of its worker's.
    """

    cpu_s: float
    rss_mb: float
    pss_mb: float


def usage_of(pid: int) -> Usage:
    """A process and all its descendants, together."""
    family = _family(pid)
    rss_mb = sum(_memory_mb(each, "status", "VmRSS:") for each in family)
    pss_mb = sum(_memory_mb(each, "smaps_rollup", "Pss:") for each in family)
    return Usage(sum(map(_cpu_s, family)), round(rss_mb, 1), round(pss_mb, 1))


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that these processes and their descendants have used until now."""
    return sum(_cpu_s(member) for pid in pids for member in _family(pid))


def alone_cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used until now, without children that live: those that have ended are in it."""
    return sum(map(_cpu_s, pids))


def _family(pid: int) -> list[int]:
    parents = {int(each.name): _fields(int(each.name)) for each in PROC.iterdir() if each.name.isdecimal()}
    family = [pid]
    for member in family:  # it grows as it is read
        family.extend(child for child, of in parents.items() if of and int(of[1]) == member)
    return family


def _fields(pid: int) -> list[str]:
    """From the third field of `stat` on: what stands before it is the name, which may hold blanks."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_s(pid: int) -> float:
    of = _fields(pid)
    return sum(map(int, of[11:15])) / TICKS_S if of else 0.0


def _memory_mb(pid: int, account: str, name: str) -> float:
    try:
        lines = (PROC / str(pid) / account).read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
