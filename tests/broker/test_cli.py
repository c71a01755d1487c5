"""The command line and the examples, each run as a person would, against a running pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local.kafka_node import REPOSITORY
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline

pytestmark = pytest.mark.broker

RUN_S_MAX = 120


@pytest.fixture(scope="module")
def running(fresh_topics: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The whole pipeline on the scripted engine, for the module."""
    redis_server.flush()
    made = Pipeline(fresh_topics, redis_server, tmp_path_factory.mktemp("cli"))
    try:
        made.router()
        for model in MODELS:
            made.worker(model)
        made.gateway()
        for process in made.started:
            process.wait_ready(120)
        yield made
    finally:
        made.close()


def environment(running: Pipeline, **more: str) -> dict[str, str]:
    here = running.environment | {
        "LLM_ENDPOINT": running.started[-1].url,
        "STATE_DIR": running.environment["TRADING_LLM_STATE_DIR"],
    }
    return {**os.environ, **here, **more}


def python(running: Pipeline, *arguments: str, given: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """A Python program of the project, run to its end."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, env=environment(running, **more), input=given, capture_output=True, text=True, timeout=RUN_S_MAX,
        check=False, cwd=REPOSITORY,
    )  # fmt: skip


def cli(running: Pipeline, *arguments: str, given: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return python(running, "trading_llm", *arguments, given=given, **more)


def test_the_topics_are_as_planned_and_applying_them_again_changes_nothing(running: Pipeline) -> None:
    checked = cli(running, "topics", "check", "--json")
    assert (checked.returncode, json.loads(checked.stdout)) == (0, {"holds": True, "why": None})
    applied = json.loads(cli(running, "topics", "apply", "--json").stdout)
    assert (applied["created"], applied["lanes"]) == ([], 0)


@pytest.mark.parametrize("over", [(), ("--http",)])
def test_a_question_is_decided_over_kafka_and_over_http(running: Pipeline, over: tuple[str, ...]) -> None:
    asked = cli(running, "decide", "--bot", "me", "--symbol", "BTCUSDT", "--price", "45000", "--model", "phi3", "--json", *over)
    assert asked.returncode == 0, asked.stderr
    decision = json.loads(asked.stdout)
    assert (decision["bot_id"], decision["model"]["name"], decision["price_ref"]) == ("me", "phi3", 45000)


def test_a_question_may_come_from_standard_input_and_is_shown_with_its_trail(running: Pipeline) -> None:
    event = json.dumps({"context": {"price": 45000, "sentiment": 0.9}, "bot_id": "me", "symbol": "BTCUSDT"})
    asked = cli(running, "decide", "-", given=event)
    assert asked.returncode == 0, asked.stderr
    assert "rule sentiment" in asked.stdout


def test_a_question_that_breaks_the_contract_is_wrong_use(running: Pipeline) -> None:
    asked = cli(running, "decide", "--bot", "me", "--symbol", "BTCUSDT", "--price", "-1")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "context.price" in asked.stderr


def test_where_trading_is_disabled_the_client_asks_nothing(running: Pipeline) -> None:
    asked = cli(
        running, "decide", "--bot", "me", "--symbol", "BTCUSDT", "--json",
        ENABLE_LLM_TRADING="false", TRADING_LLM_KAFKA_BOOTSTRAP="127.0.0.1:1",
    )  # fmt: skip
    assert json.loads(asked.stdout)["status"] == "HALTED"


def test_a_decision_is_explained_by_its_id_and_by_its_context_id(running: Pipeline) -> None:
    own = ("--bot", "me", "--symbol", "BTCUSDT")
    for price in ("45000", "45000", "45001"):  # decided, a duplicate, and another content
        asked = cli(running, "decide", *own, "--price", price, "--context-id", "why", "--wait", "5", "--json")
    assert asked.returncode == 1
    by_name = cli(running, "explain", "why", *own, "--json")
    decision = json.loads(by_name.stdout)
    assert decision["context_id"] == "why"
    assert [letter["reason"] for letter in decision["trail"]["dead_letters"]].count("context_id_reused") == 1
    by_id = cli(running, "explain", decision["decision_id"])
    assert by_id.returncode == 0
    assert "route: rule default" in by_id.stdout


def test_what_nobody_asked_cannot_be_explained(running: Pipeline) -> None:
    assert cli(running, "explain", "nothing").returncode == 1


def test_a_feed_of_the_example_bots_ends_with_an_outcome_for_each(running: Pipeline) -> None:
    fed = cli(running, "feed", "--contexts", "48", "--rate", "0", "--json")
    assert fed.returncode == 0, fed.stderr
    found = json.loads(fed.stdout)
    assert (found["contexts"], found["outcomes"]) == (48, 48)
    assert fed.stderr.count("\n") >= 48  # a line each, where there is no terminal


def test_what_is_decided_can_be_watched(running: Pipeline) -> None:
    command = [sys.executable, "-m", "trading_llm", "watch", "--count", "1", "--json"]
    watching = subprocess.Popen(
        command, env=environment(running), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        while watching.poll() is None:  # until it watches, decisions go by unseen
            cli(running, "decide", "--bot", "seen", "--symbol", "BTCUSDT")
        shown, _ = watching.communicate(timeout=RUN_S_MAX)
    finally:
        watching.kill()
    assert json.loads(shown)[0]["bot_id"] == "seen"


def test_the_status_shows_models_and_topics_where_no_stack_of_this_machine_is_up(running: Pipeline) -> None:
    shown = cli(running, "status", "--json")
    assert shown.returncode == 0, shown.stderr
    status = json.loads(shown.stdout)
    assert status["processes"] == []
    assert {model["name"]: model["state"] for model in status["models"]} == dict.fromkeys(MODELS, "HEALTHY")
    assert status["models"][0].keys() >= {"reason", "since", "next_probe", "queue", "in_flight", "p50_ms", "p99_ms", "share"}
    assert status["topics"][0].keys() == {"name", "lag", "oldest_s"}


def test_the_example_bot_runs(running: Pipeline) -> None:
    done = python(running, "examples.momentum_bot")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ETHUSD") == 5


def test_the_example_consumer_asks_and_acts(running: Pipeline) -> None:
    done = python(running, "examples.consumer")
    assert done.returncode == 0, done.stderr


def test_the_models_are_compared_by_the_example(running: Pipeline) -> None:
    done = python(running, "examples.compare_models")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["deepseek", "qwen", "fingpt", "phi3"]


def test_a_router_of_ones_own_is_loaded_by_its_name(running: Pipeline) -> None:
    running.started[0].stop()
    own = running.router(env={"TRADING_LLM_ROUTER": "examples.custom_router:CustomRouter"}).wait_ready(120)
    event = {"context": {"price": 45000, "volatility": 0.9}, "bot_id": "me", "symbol": "BTCUSDT"}
    asked = cli(running, "decide", "-", "--json", given=json.dumps(event))
    own.stop()
    decision = json.loads(asked.stdout)
    assert (decision["route"]["rule"], decision["model"]["name"]) == ("router:CustomRouter", "qwen")
