"""The demo and the stack, as a person runs them, on the scripted engine: what they show, and that nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local import Ports
from deploy.local.kafka_node import REPOSITORY
from deploy.local.ports import VARIABLES

pytestmark = pytest.mark.broker

DEMO_S_MAX = 240
CLI = (sys.executable, "-m", "trading_llm")


def environment(**more: str) -> dict[str, str]:
    """An environment of the stack's own shape, on ports that nobody has."""
    ports = Ports.free(8)
    return {**os.environ, **{VARIABLES[name]: str(getattr(ports, name)) for name in VARIABLES}, "ENGINE": "scripted", **more}


def left_behind(environ: dict[str, str]) -> list[str]:
    """The commands of the processes that were started with this environment's Kafka port, Kafka itself among them."""
    sign = f"KAFKA_PORT={environ['KAFKA_PORT']}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and sign in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended while we looked
            continue
    return found


def demo(*arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [*CLI, "demo", "--rate", "0", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=DEMO_S_MAX, cwd=REPOSITORY, check=False)


def test_the_demo_shows_every_model_and_rule_and_holds() -> None:
    environ = environment()
    done = demo(environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "STAND-INS" in lines[0] and "nothing of markets" in lines[0] and "Phi-3" in lines[0]
    assert any(line.startswith("$ curl -X POST") for line in lines)
    assert lines[-1] == "300 contexts, 300 outcomes, 0 twice"
    rules = next(line for line in lines if line.startswith("by rule"))
    assert all(rule in rules for rule in ("position_and_volume", "volatility", "sentiment", "default"))
    assert left_behind(environ) == []


def test_the_demo_of_one_model_asks_it_alone() -> None:
    environ = environment(MODELS="phi3")
    done = demo("--contexts", "36", environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "by model   phi3 36" in done.stdout
    assert "restricted to the models that run: phi3" in done.stdout


def test_the_demo_names_a_model_that_nobody_knows() -> None:
    done = demo(environ=environment(MODELS="gpt"))
    assert done.returncode == 3
    assert "gpt is not in the catalogue" in done.stderr


EARLY = [pytest.param(at, marks=pytest.mark.long) for at in ("kafka ready", "topics applied")]
INSTANTS = [*EARLY, "everything is ready", "time  "]


@pytest.mark.parametrize("at", INSTANTS)
def test_ctrl_c_at_any_instant_leaves_no_process_behind(at: str) -> None:
    environ = environment(MODELS="phi3")
    running = subprocess.Popen(
        [*CLI, "demo", "--contexts", "600", "--rate", "20"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        shown = next(line for line in running.stdout if re.search(at, line))
        assert left_behind(environ), "nothing was there to be left behind"
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    finally:
        running.kill()
    assert shown
    assert running.returncode not in (0, None)
    deadline = time.monotonic() + 10  # what was killed is gone from the table a moment later
    while (left := left_behind(environ)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_the_stack_goes_up_says_what_runs_and_goes_down(tmp_path: Path) -> None:
    environ = environment(MODELS="phi3", STATE_DIR=str(tmp_path / "stack"))

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*CLI, *arguments, "--json"]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=DEMO_S_MAX, cwd=REPOSITORY, check=False
        )

    try:
        up = cli("up")
        assert up.returncode == 0, up.stderr
        status = json.loads(cli("status").stdout)
        assert [each["name"] for each in status["processes"]] == ["kafka", "redis", "router-0", "worker-phi3-0", "gateway"]
        assert {each["state"] for each in status["processes"]} == {"running"}
        assert {each["name"]: each["state"] for each in status["models"]}["phi3"] == "HEALTHY"
        asked = cli("decide", "--bot", "me", "--symbol", "BTCUSDT")  # finds the stack by its state directory
        assert json.loads(asked.stdout)["model"]["name"] == "phi3"
    finally:
        assert json.loads(cli("down").stdout) == {"stopped": True}
    assert cli("status").returncode == 3
    assert left_behind(environ) == []
