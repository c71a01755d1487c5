"""The command line where nothing runs: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backbone.settings import REPOSITORY
from trading_llm.cli import app

pytestmark = pytest.mark.unit

POLICY = str(REPOSITORY / "router" / "policy.toml")
AWAY = {
    "TRADING_LLM_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "LLM_ENDPOINT": "http://127.0.0.1:1",
    "TRADING_LLM_REQUEST_TIMEOUT_S": "2",
}


@pytest.fixture
def run(tmp_path: Path) -> CliRunner:
    """A runner in surroundings without a stack."""
    return CliRunner(env=AWAY | {"STATE_DIR": str(tmp_path / "nothing")})


def test_every_command_is_named(run: CliRunner) -> None:
    shown = run.invoke(app, ["--help"]).output
    for command in (
        "up",
        "down",
        "status",
        "topics",
        "policy",
        "feed",
        "audit",
        "watch",
        "decide",
        "explain",
        "schemas",
        "models",
        "demo",
    ):
        assert command in shown


def test_the_schemas_are_one_document(run: CliRunner) -> None:
    result = run.invoke(app, ["schemas", "--json"])
    assert result.exit_code == 0
    assert {"context", "decision"} <= json.loads(result.stdout).keys()
    assert json.loads(run.invoke(app, ["schemas", "decision"]).stdout)["title"] == "Decision"


def test_a_message_that_nobody_knows_is_wrong_use(run: CliRunner) -> None:
    result = run.invoke(app, ["schemas", "letter"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no message letter" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["topics", "check"],
        ["topics", "apply"],
        ["decide", "--bot", "b", "--symbol", "s"],
        ["decide", "--bot", "b", "--symbol", "s", "--http"],
        ["explain", "x"],
        ["audit"],
        ["watch", "--count", "1"],
        ["feed", "--contexts", "1"],
        ["status"],
        ["policy", "show"],
        ["policy", "apply", POLICY],
        ["policy", "diff", POLICY, POLICY],
    ],
)
def test_what_needs_something_that_is_away_ends_with_3_and_one_clear_line(run: CliRunner, arguments: list[str]) -> None:
    result = run.invoke(app, arguments)
    assert result.exit_code == 3
    assert len([line for line in result.stderr.splitlines() if line.startswith("trading-llm: ")]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["explain", "x", "--bot", "b"],
        ["watch", "--json"],
        ["audit", "--wait", "-1"],
        ["decide", "/no/such/file"],
        ["feed", "--contexts", "0"],
        ["policy", "check", "/no/such/file"],
        ["policy", "explain", POLICY, "/no/such/file"],
        ["policy", "diff", POLICY, POLICY, "--since", "yesterday"],
        ["policy", "diff", POLICY, POLICY, "--contexts", "0"],
        ["models", "plan"],
        ["models", "plan", "--gpu", "0"],
        ["models", "plan", "--gpu", "nan"],
        ["models", "plan", "--gpu", "80", "--models", "gpt"],
        ["models", "plan", "--gpu", "80", "--quantization", "int4"],
        ["models", "plan", "--gpu", "80", "--tensor-parallel", "8"],
        ["models", "verify", "gpt"],
        ["models", "prepare", "/no/such/folder"],
    ],
)
def test_wrong_use_ends_with_2(run: CliRunner, arguments: list[str]) -> None:
    assert run.invoke(app, arguments).exit_code == 2


def test_there_is_nothing_to_stop_where_nothing_is_up(run: CliRunner) -> None:
    result = run.invoke(app, ["down", "--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"stopped": False})


def test_a_setting_that_cannot_be_is_wrong_use(run: CliRunner) -> None:
    result = run.invoke(app, ["topics", "check"], env={"MIN_LLM_CONFIDENCE": "seven"})
    assert result.exit_code == 2
    assert "MIN_LLM_CONFIDENCE" in result.stderr


def test_a_replay_of_what_was_asked_takes_every_context(run: CliRunner) -> None:
    done = run.invoke(app, ["replay", "run", "--from", "1h", "--every", "3"])
    assert done.exit_code == 2 and "--every: goes with --csv" in done.output


def test_a_replay_names_what_is_wrong_with_the_catalogue(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    done = run.invoke(app, ["replay", "run", "--from", "1h"], env={"TRADING_LLM_CATALOGUE": str(tmp_path)})
    assert done.exit_code == 2 and "broken.toml" in done.output


@pytest.mark.parametrize(
    "option",
    [("--models", "phi3"), ("--fleet", "healthy"), ("--on-miss", "abstain"), ("--processes", "2")],
    ids=lambda each: each[0],
)
def test_what_the_running_processes_decide_is_no_option_of_asking_them(run: CliRunner, option: tuple[str, str]) -> None:
    done = run.invoke(app, ["replay", "run", "--engine", "infer", *option])
    assert done.exit_code == 2 and f"{option[0]}: goes with --engine recorded" in done.output
