"""A real process of a test: started in a session of its own, killed, paused, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka_node import REPOSITORY
from deploy.local.logs import last_lines
from deploy.local.ready import Probe
from deploy.local.session import Session

LAUNCH = REPOSITORY / "deploy" / "local" / "launch.py"
LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started, with its log and how to ask whether it is ready."""

    name: str
    popen: subprocess.Popen[bytes]
    probe: Probe
    log: Path
    session: Session
    began_at: int  # where this life's part of the log begins

    @property
    def pid(self) -> int:
        """Its number."""
        return self.popen.pid

    @property
    def url(self) -> str:
        """Where its health, readiness and metrics are."""
        return f"http://127.0.0.1:{self.probe.port}"

    def said(self) -> str:
        """What it has logged since it was started."""
        with self.log.open("rb") as log:
            log.seek(self.began_at)
            return log.read().decode(errors="replace")

    def wait_ready(self, s_max: float = 60.0) -> Running:
        """Itself, once it is ready. AssertionError, with the end of its log, when it ends first or takes longer."""
        deadline = time.monotonic() + s_max
        while not self.probe.answers():
            assert self.popen.poll() is None, f"{self.name} ended with {self.popen.returncode}\n{last_lines(self.log, 40)}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {s_max} s\n{last_lines(self.log, 40)}"
            time.sleep(LOOK_EVERY_S)
        return self

    def kill(self) -> None:
        """kill -9, of this process alone."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, s_max: float = 20.0) -> int:
        """SIGTERM, and its exit code; AssertionError when it has not ended in time."""
        self.popen.terminate()
        return self.wait_exit(s_max)

    def pause(self) -> None:
        """SIGSTOP: it neither works nor dies."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def wait_exit(self, s_max: float = 30.0) -> int:
        """Its exit code, negative for a signal; AssertionError, with the end of its log, when it has not ended in time."""
        deadline = time.monotonic() + s_max
        while (code := self.popen.poll()) is None:
            assert time.monotonic() < deadline, f"{self.name} still runs after {s_max} s\n{last_lines(self.log, 40)}"
            time.sleep(LOOK_EVERY_S)
        return code

    def end(self) -> None:
        """Whatever its state, leave nothing of it or of its children."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(10)
        self.session.kill()


def start(
    name: str, command: Sequence[str], environment: Mapping[str, str], probe: Probe, folder: Path, within: Path = REPOSITORY
) -> Running:
    """Start a process that ends with this one; its log is appended to, as `<name>.log` in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    tied = [sys.executable, "-ES", str(LAUNCH), "tie", str(os.getpid()), *command]
    with log.open("ab") as sink:
        began_at = sink.tell()
        popen = subprocess.Popen(
            tied, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            start_new_session=True, cwd=within,
        )  # fmt: skip
    return Running(name, popen, probe, log, Session.led_by(popen.pid), began_at)
