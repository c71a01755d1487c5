"""supervisord over a stack's processes: its settings, its start and end, and what it says."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from deploy.local.errors import MachineError, NotReadyError
from deploy.local.logs import last_lines, logs_of
from deploy.local.plan import Program
from deploy.local.session import Session, kill

LAUNCH = Path(__file__).with_name("launch.py")
# A process may finish what it holds for 10 s after SIGTERM; 5 s more, and it is killed.
STOP_S_MAX = 15
# Its two groups end one after the other.
SHUTDOWN_S_MAX = 2 * STOP_S_MAX + 5
START_S_MAX = 15.0
SOCKET_PATH_MAX = 80  # Unix allows 107 characters, and supervisord adds its pid while it binds
GROUPS = {"store": 100, "pipeline": 200}  # the higher is started later and ended first
LOG_BYTES_MAX = 20_000_000

PROGRAM = """
[program:{name}]
command={python} -ES {launch} run {spec}
directory={directory}
autostart={autostart}
autorestart=true
startsecs=0
stopsignal=TERM
stopwaitsecs={stop_s_max}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes={log_bytes_max}
stdout_logfile_backups=2
"""
HEAD = """
[supervisord]
nodaemon=true
logfile={logs}/supervisor.log
logfile_maxbytes=1000000
loglevel=warn
pidfile={state_dir}/supervisor.pid
childlogdir={logs}

[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:waker]
supervisor.rpcinterface_factory = deploy.local.waker:wake_at_changes
"""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The supervisord of one state directory, running or not."""

    state_dir: Path

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            self._ask("getState")
        except MachineError:
            return False
        return True

    def write(self, programs: Sequence[Program], directory: Path) -> None:
        """Write its settings and one spec a program; older counts of starts are forgotten."""
        logs, run = logs_of(self.state_dir), self.state_dir / "run"
        for folder in (logs, run):
            folder.mkdir(parents=True, exist_ok=True)
        for file in run.iterdir():
            file.unlink()
        text = HEAD.format(logs=_quoted(logs), state_dir=_quoted(self.state_dir), socket=_quoted(self._socket))
        for group, priority in GROUPS.items():
            members = ",".join(program.name for program in programs if program.group == group)
            text += f"\n[group:{group}]\nprograms={members}\npriority={priority}\n"
        for program in programs:
            text += self._section(program, run, directory)
        (self.state_dir / "supervisor.conf").write_text(text)

    def start(self, owner: int | None) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches it through us only; it ends with its owner."""
        tie = [sys.executable, "-ES", str(LAUNCH), "tie", str(owner)] if owner is not None else []
        command = [*tie, sys.executable, "-m", "supervisor.supervisord", "-c", str(self.state_dir / "supervisor.conf")]
        out = str(logs_of(self.state_dir) / "supervisor.out")
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=files, setsid=True)
        Session.led_by(pid).keep(self._session)

    def await_answer(self) -> None:
        """Return when it answers. Raises NotReadyError after 15 s, or when it has ended."""
        session = Session.read(self._session)
        deadline = time.monotonic() + START_S_MAX
        while not self.is_up:
            if session is None or not session.leader_lives() or time.monotonic() > deadline:
                out = logs_of(self.state_dir) / "supervisor.out"
                raise NotReadyError(f"supervisord did not start\n{last_lines(out)}")
            time.sleep(0.02)

    def start_group(self, group: str) -> None:
        """Start every process of a group, without waiting for any."""
        self._ask("startProcessGroup", group, False)

    def states(self) -> list[dict[str, Any]]:
        """What it says of each process, in supervisord's own words. Raises MachineError where it does not answer."""
        return cast(list[dict[str, Any]], self._ask("getAllProcessInfo"))

    def end(self) -> bool:
        """End it and every process of its session, killing what does not end in time. False if there was nothing."""
        session = Session.read(self._session)
        if session is None or not session.members():
            return False
        if session.leader_lives():
            kill(session.leader, signal.SIGTERM)
        deadline = time.monotonic() + SHUTDOWN_S_MAX
        while session.leader_lives() and time.monotonic() < deadline:
            time.sleep(0.05)
        session.kill()
        for leftover in (self._session, self._socket):
            leftover.unlink(missing_ok=True)
        return True

    @property
    def _session(self) -> Path:
        return self.state_dir / "session"

    @property
    def _socket(self) -> Path:
        inside = self.state_dir / "supervisor.sock"
        if len(str(inside)) <= SOCKET_PATH_MAX:
            return inside
        digest = hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"trading-llm-{digest}.sock"

    def _section(self, program: Program, run: Path, directory: Path) -> str:
        tally, progress, spec = (run / f"{program.name}.{end}" for end in ("starts", "progress", "json"))
        environment = program.environment | {"TRADING_LLM_PROGRESS_FILE": str(progress)}
        described = {"name": program.name, "command": program.command, "environment": environment}
        spec.write_text(json.dumps(described | {"tally": str(tally), "progress": str(progress)}, indent=1))
        return PROGRAM.format(
            name=program.name,
            python=_quoted(sys.executable),
            launch=_quoted(LAUNCH),
            spec=_quoted(spec),
            directory=_quoted(directory),
            # The pipeline starts once its topics are there.
            autostart="true" if program.group == "store" else "false",
            stop_s_max=STOP_S_MAX,
            log=_quoted(logs_of(self.state_dir) / f"{program.name}.log"),
            log_bytes_max=LOG_BYTES_MAX,
        )

    def _ask(self, question: str, *arguments: object) -> object:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        # The host is not used: the transport speaks through the socket.
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            with closing(transport):
                return cast(object, getattr(server.supervisor, question)(*arguments))
        except (OSError, xmlrpc.client.Error) as error:
            raise MachineError(f"the supervisor of {self.state_dir} does not answer: {error}") from error


def _quoted(path: Path | str) -> str:
    # supervisord expands %(name)s everywhere and splits a command at blanks.
    text = str(path).replace("%", "%%")
    if any(character in text for character in " \t\"'\\;#"):
        raise MachineError(f"{path}: supervisord cannot take blanks, quotes or ; # in a path: use another folder")
    return text
