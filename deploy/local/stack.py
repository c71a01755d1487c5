"""A whole stack on this machine: up, down, and what runs."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from deploy.local.errors import AlreadyUpError, NotReadyError
from deploy.local.kafka_node import REPOSITORY
from deploy.local.launch import FAILURES_AT_ONCE, read_tally
from deploy.local.logs import last_lines
from deploy.local.plan import Plan, Program
from deploy.local.ports import check_free
from deploy.local.supervisor import Supervisor

Say = Callable[[str], None]
LOOK_EVERY_S = 0.1
TOPICS_S_MAX = 60


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a stack. `state`: running (ready), starting, pausing (held back after failures) or stopped."""

    name: str
    pid: int | None
    state: str
    since: datetime | None
    restarts: int


def tell(text: str) -> None:
    """Print a line at once, also where the output is no terminal."""
    print(text, flush=True)


def up(plan: Plan, say: Say = tell, owner: int | None = None) -> None:
    """Start the stack and return when every process is ready; on any failure or interruption nothing is left running.

    `owner` is a process whose end ends the stack. Raises MachineError (what is in the way, and the remedy).
    """
    with _lock(plan.state_dir), _ending_on(signal.SIGTERM, signal.SIGHUP), ExitStack() as undo:
        supervisor = Supervisor(plan.state_dir)
        if supervisor.is_up:
            _check_same(plan)
            say(f"already up: {plan.state_dir}")
            return
        supervisor.end()  # what a killed supervisor left
        programs = _prepare(plan, supervisor)
        undo.callback(_end, supervisor)
        with _deferring():
            supervisor.start(owner)
        _bring_up(plan, supervisor, programs, say)
        undo.pop_all()


def down(state_dir: Path, say: Say = tell) -> bool:
    """End every process of the stack in this state directory; Kafka's data stays. False if there was nothing to end."""
    if not state_dir.exists():
        return False
    with _lock(state_dir):
        began = time.monotonic()
        ended = Supervisor(state_dir).end()
        if ended:
            say(f"stopped in {time.monotonic() - began:.1f} s")
        return ended


def processes(state_dir: Path) -> list[Process]:
    """What runs from this state directory, in the order of its plan; empty when it is not up."""
    supervisor = Supervisor(state_dir)
    if not supervisor.is_up:
        return []
    pids = {str(info["name"]): int(info["pid"]) for info in supervisor.states()}
    programs = Plan.read(state_dir).programs()
    with ThreadPoolExecutor(len(programs)) as pool:  # each may take a second to say nothing
        return list(pool.map(lambda program: _process(state_dir, program, pids.get(program.name, 0)), programs))


@contextmanager
def running(plan: Plan, say: Say = tell) -> Iterator[None]:
    """A stack for as long as the block lasts. SIGTERM and SIGHUP end it as Ctrl-C does, and even kill -9 of us.

    Call it from the main thread.
    """
    with _ending_on(signal.SIGTERM, signal.SIGHUP):
        up(plan, say, owner=os.getpid())
        try:
            yield
        finally:
            with _deferring():
                down(plan.state_dir, say)


def _prepare(plan: Plan, supervisor: Supervisor) -> tuple[Program, ...]:
    check_free(plan.ports_wanted())
    programs = plan.programs()
    plan.kafka.prepare()
    plan.redis.prepare()
    supervisor.write(programs, REPOSITORY)
    plan.keep()
    return programs


def _end(supervisor: Supervisor) -> None:
    with _deferring():
        supervisor.end()


def _bring_up(plan: Plan, supervisor: Supervisor, programs: Sequence[Program], say: Say) -> None:
    supervisor.await_answer()
    _await_ready(plan, [program for program in programs if program.group == "store"], say)
    _apply_topics(plan, say)
    supervisor.start_group("pipeline")
    _await_ready(plan, [program for program in programs if program.group == "pipeline"], say)


def _await_ready(plan: Plan, programs: Sequence[Program], say: Say) -> None:
    began = time.monotonic()
    waiting = list(programs)
    while waiting:
        for program in tuple(waiting):
            waited_s = time.monotonic() - began
            if program.probe.answers():
                say(f"{program.name} ready after {waited_s:.1f} s")
                waiting.remove(program)
            elif waited_s > program.ready_s_max or _failures(plan, program) >= FAILURES_AT_ONCE:
                why = f"not ready after {waited_s:.0f} s" if waited_s > program.ready_s_max else "ended again and again"
                raise NotReadyError(f"{program.name} {why}\n{last_lines(plan.logs / f'{program.name}.log')}")
        time.sleep(LOOK_EVERY_S)


def _failures(plan: Plan, program: Program) -> int:
    tally = read_tally(plan.state_dir / "run" / f"{program.name}.starts")
    return tally["failures"] if tally else 0


def _apply_topics(plan: Plan, say: Say) -> None:
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("trading-llm")), "topics", "apply"]
    try:
        environment = {**os.environ, **plan.settings}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TOPICS_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReadyError(f"the topics were not applied: {error}") from error
    if done.returncode != 0:
        raise NotReadyError(f"the topics were not applied:\n{done.stdout}{done.stderr}")
    say(f"topics applied in {time.monotonic() - began:.1f} s")


def _process(state_dir: Path, program: Program, pid: int) -> Process:
    tally = read_tally(state_dir / "run" / f"{program.name}.starts")
    if tally is None:
        return Process(program.name, None, "stopped", None, 0)
    since = datetime.fromtimestamp(tally["since"], UTC)
    return Process(program.name, pid or None, _state(program, pid, tally["paused_until"]), since, tally["starts"] - 1)


def _state(program: Program, pid: int, paused_until: float) -> str:
    if not pid:
        return "stopped"
    if time.time() < paused_until:
        return "pausing"
    return "running" if program.probe.answers() else "starting"


def _check_same(plan: Plan) -> None:
    if Plan.read(plan.state_dir) != plan:
        raise AlreadyUpError(f"a stack with other settings runs from {plan.state_dir}: `make down` ends it")


@contextmanager
def _lock(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyUpError(f"another command starts or stops the stack in {state_dir}: wait for it") from error
        yield


@contextmanager
def _ending_on(*signals: signal.Signals) -> Iterator[None]:
    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _deferring() -> Iterator[None]:
    """Ctrl-C and its like take effect after this block: it is bounded, and half of it would leave processes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
