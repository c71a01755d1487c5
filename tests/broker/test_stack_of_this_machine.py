"""`make up` and `make down`, for real: a stack is brought up, watched, broken, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import AlreadyUpError, MachineError, Plan, Ports, Process, down, processes, running, up
from deploy.local.kafka_node import REPOSITORY
from deploy.local.session import Session

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


def silent(_text: str) -> None:
    """Says nothing."""


def a_plan(folder: Path) -> Plan:
    return Plan(state_dir=folder / "stack", ports=Ports.free(2), engine="scripted", models=("phi3",))


def named(plan: Plan, name: str) -> Process:
    return next(process for process in processes(plan.state_dir) if process.name == name)


def until_running(plan: Plan, name: str, restarts: int) -> Process:
    deadline = time.monotonic() + 60
    while (process := named(plan, name)).state != "running" or process.restarts < restarts:
        assert time.monotonic() < deadline, process
        time.sleep(0.1)
    return process


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    plan = a_plan(tmp_path_factory.mktemp("machine"))
    with running(plan, silent):
        yield plan


def test_every_process_of_the_plan_runs_and_has_a_log(stack: Plan) -> None:
    found = processes(stack.state_dir)
    assert [process.name for process in found] == ["kafka", "redis", "router-0", "worker-phi3-0", "gateway"]
    assert {(process.state, process.restarts) for process in found} == {("running", 0)}
    assert all((stack.logs / f"{process.name}.log").exists() for process in found)


def test_the_same_stack_is_not_started_twice_and_another_not_beside_it(stack: Plan) -> None:
    said: list[str] = []
    up(stack, said.append)
    assert said == [f"already up: {stack.state_dir}"]
    with pytest.raises(AlreadyUpError, match="make down"):
        up(Plan(state_dir=stack.state_dir, ports=stack.ports, engine="scripted", models=("qwen",)), silent)


def test_a_stack_whose_ports_are_taken_is_refused_before_anything_starts(stack: Plan, tmp_path: Path) -> None:
    with pytest.raises(MachineError) as refusal:
        up(Plan(state_dir=tmp_path / "stack", ports=stack.ports, engine="scripted", models=("phi3",)), silent)
    assert f"port {stack.ports.kafka} (kafka) is taken: set KAFKA_PORT" in str(refusal.value)
    assert f"port {stack.ports.gateway} (gateway) is taken: set GATEWAY_PORT" in str(refusal.value)
    assert processes(tmp_path / "stack") == []


def test_another_stack_runs_beside_it_from_another_folder(stack: Plan, tmp_path: Path) -> None:
    other = a_plan(tmp_path)
    with running(other, silent):
        assert {process.state for process in processes(other.state_dir)} == {"running"}
        assert {process.state for process in processes(stack.state_dir)} == {"running"}
    assert processes(other.state_dir) == []
    assert {process.state for process in processes(stack.state_dir)} == {"running"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_or_leaves_is_started_again_and_counted(stack: Plan, number: signal.Signals) -> None:
    first = named(stack, "router-0")
    assert first.pid is not None and first.since is not None
    os.kill(first.pid, number)
    again = until_running(stack, "router-0", restarts=first.restarts + 1)
    assert again.pid != first.pid
    assert again.restarts == first.restarts + 1
    assert again.since is not None and again.since > first.since


def test_a_process_that_never_becomes_ready_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    wrong = {"TRADING_LLM_SESSION_TIMEOUT_S": "soon"}
    plan = Plan(tmp_path / "stack", Ports.free(2), engine="scripted", models=("phi3",), environment=wrong)
    with pytest.raises(MachineError, match="session_timeout_s"):
        up(plan, silent)
    assert Session.read(plan.state_dir / "session") is None


@pytest.mark.parametrize("after_s", [0.4, 1.5, 4.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_runs_a_stack_leaves_no_process_behind(tmp_path: Path, number: signal.Signals, after_s: float) -> None:
    program = "import os, time; from deploy.local import *\nwith running(Plan.from_environment(os.environ)): time.sleep(60)"
    ports = Ports.free(2)
    shape = {"ENGINE": "scripted", "MODELS": "phi3", "STATE_DIR": str(tmp_path / "stack"), "HTTP_PORT": str(ports.http)}
    shape |= {"KAFKA_PORT": str(ports.kafka), "CONTROLLER_PORT": str(ports.controller)}
    shape |= {"REDIS_PORT": str(ports.redis), "GATEWAY_PORT": str(ports.gateway)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | shape, cwd=REPOSITORY, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as owner:  # fmt: skip
        time.sleep(after_s)
        started = Session.read(tmp_path / "stack" / "session")
        os.killpg(owner.pid, number)
        assert owner.wait(45) != 0
    deadline = time.monotonic() + 45
    while started is not None and started.members() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert started is None or started.members() == []


def test_a_stack_that_was_put_up_stays_until_it_is_put_down(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    up(plan, silent)
    session = Session.read(plan.state_dir / "session")
    assert session is not None and session.members()
    assert down(plan.state_dir, silent)
    assert session.members() == []
    assert not down(plan.state_dir, silent)
