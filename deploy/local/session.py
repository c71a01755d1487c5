"""The processes of one session: how nothing of a stack is left behind, even where its supervisor was killed."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
KILL_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Session:
    """A session by its leader's number; the leader's start and the boot tell it from a later one of that number."""

    leader: int
    started: int
    boot: str

    @classmethod
    def led_by(cls, pid: int) -> Session:
        """The session that this process leads, or will in a moment."""
        return cls(pid, _stat(pid)[1], BOOT.read_text().strip())

    @classmethod
    def read(cls, file: Path) -> Session | None:
        """The session that was kept in a file; None where there is none."""
        try:
            leader, started, boot = file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return cls(int(leader), int(started), boot)

    def keep(self, file: Path) -> None:
        """Write it down for a later command."""
        file.write_text(f"{self.leader} {self.started} {self.boot}\n")

    def leader_lives(self) -> bool:
        """Whether its leader has not ended."""
        state, started = _stat(self.leader)
        return state not in ("", "Z") and started == self.started and self._is_of_this_boot()

    def members(self) -> list[int]:
        """Every process of it that has not ended."""
        state, started = _stat(self.leader)
        if not self._is_of_this_boot() or (state and started != self.started):
            return []
        numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        return [pid for pid in numbers if _session_of(pid) == self.leader and _stat(pid)[0] not in ("", "Z")]

    def kill(self) -> None:
        """Kill (-9) what is left of it, and wait for its end, 10 s at most."""
        deadline = time.monotonic() + KILL_S_MAX
        while (left := self.members()) and time.monotonic() < deadline:
            for pid in left:
                kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        _reap(self.leader)

    def _is_of_this_boot(self) -> bool:
        return BOOT.read_text().strip() == self.boot


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal, if the process is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    # Our own child, where this process started it; else somebody else's.
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def _stat(pid: int) -> tuple[str, int]:
    # State and start (field 22, clock ticks since boot); the name in brackets before them may hold anything.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return fields[0], int(fields[19])
