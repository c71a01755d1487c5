"""A policy is put in force while contexts flow: nothing starts again, and no decision is made by two policies."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.decision import Decision
from schemas.headers import SRC, header_text
from schemas.policy import Policy
from schemas.topic import DECISIONS, model_topic
from tests.support import feed
from tests.support.feed import feeding
from tests.support.kafka import Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching

pytestmark = pytest.mark.broker

MODELS = ("deepseek", "phi3")
PER_S = 60.0
FLOWS_S = 1.5  # before and after
READ_S = 1.0  # within which a router reads what is in force
CLEAR = {"price": 100.0, "sentiment": 0.9}


def text(version: int, rule: str, model: str, min_confidence: float, mode: str) -> str:
    return f"""
version = {version}
default = "deepseek"

[[rules]]
name = "{rule}"
when = ["sentiment_clear"]
model = "{model}"
min_confidence = {min_confidence}
mode = "{mode}"

[fallback]
deepseek = ["phi3"]
phi3 = ["deepseek"]
"""


FIRST = text(1, "clear", "phi3", 0.75, "label")
SECOND = text(2, "loud", "deepseek", 0.9, "full")
# What each of them, and nothing else, makes of a clear sentiment: rule, model, threshold, whether there is a sentence.
TRAILS = {
    Policy.from_toml(FIRST).digest: ("clear", "phi3", 0.75, False),
    Policy.from_toml(SECOND).digest: ("loud", "deepseek", 0.9, True),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both policies as files."""
    folder = tmp_path_factory.mktemp("policies")
    for name, content in (("first.toml", FIRST), ("second.toml", SECOND)):
        (folder / name).write_text(content)
    return folder / "first.toml", folder / "second.toml"


@pytest.fixture(scope="module")
def running(
    fresh_topics: Broker, redis_server: RedisServer, files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Two routers and a worker a model, with the first policy in force."""
    redis_server.flush()
    made = Pipeline(fresh_topics, redis_server, tmp_path_factory.mktemp("policy"), models=MODELS)
    try:
        assert told(made, "apply", files[0])["digest"] in TRAILS
        made.router(0)
        made.router(1)
        for model in MODELS:
            made.worker(model)
        for process in made.started:
            process.wait_ready(120)
        yield made
    finally:
        made.close()


def run(running: Pipeline, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`trading-llm policy` with these arguments, run to its end."""
    return running.command("policy", *arguments)


def told(running: Pipeline, *arguments: str | Path) -> dict[str, Any]:
    """What it says as JSON."""
    done = run(running, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def decisions(watch: Watch) -> dict[str, Decision]:
    return {made.context_id: made for made in (Decision.from_bytes(record.value) for record in watch.of(DECISIONS))}


def trail(made: Decision) -> tuple[str | None, str | None, float | None, bool]:
    return made.route.rule, made.model.name if made.model else None, made.route.threshold, bool(made.rationale)


async def test_a_policy_applied_while_contexts_flow_is_in_every_decision_whole(
    running: Pipeline, fresh_topics: Broker, files: tuple[Path, Path]
) -> None:
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        async with feeding(fresh_topics.bootstrap, PER_S, label="flows", context=CLEAR) as flow:
            await asyncio.sleep(FLOWS_S)
            applied = await asyncio.to_thread(told, running, "apply", files[1])
            await asyncio.sleep(FLOWS_S)
            sources = await flow.stop()
        await asyncio.sleep(READ_S)
        later = await feed.send(fresh_topics.bootstrap, feed.bodies(40, keys=20, seed=2, label="later", context=CLEAR))
        await watch.until_answered([*sources, *later], 120)
        verdict = await watch.settled(30)
    assert verdict.holds, str(verdict)
    first, second = TRAILS
    assert (applied["was"], applied["digest"], applied["version"]) == (first, second, 2)
    made = decisions(watch)
    assert len(made) == len(sources) + len(later)
    assert {each.context_id: trail(each) for each in made.values() if trail(each) != TRAILS[str(each.route.policy)]} == {}
    assert {each.route.policy for each in made.values()} == {first, second}
    assert {made[name].route.policy for name in made if name.startswith("later")} == {second}
    assert [process.name for process in running.started if process.popen.poll() is not None] == [], "nothing started again"


async def test_what_another_policy_would_change_is_counted_on_recorded_contexts(
    running: Pipeline, fresh_topics: Broker, files: tuple[Path, Path]
) -> None:
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        calm = feed.bodies(30, keys=20, seed=3, label="calm", context={"price": 100.0, "sentiment": 0.1})
        await watch.until_answered(await feed.send(fresh_topics.bootstrap, calm))
        contexts = len(watch.answered)
    found = told(running, "diff", *files, "--since", "1h")
    assert (found["cut"], found["refused"], found["other_terms"]) == (False, 0, 0)
    assert found["contexts"] >= contexts
    assert found["changed"] == found["contexts"] - len(calm)
    assert found["by_model"] == [{"from": "phi3", "to": "deepseek", "contexts": found["changed"]}]
    assert found["by_rule"] == [{"from": "clear", "to": "loud", "contexts": found["changed"]}]
    assert found["examples"][0]["from"] == {"model": "phi3", "rule": "clear"}
    cut = told(running, "diff", *files, "--contexts", "20")
    assert cut["cut"] and 10 <= cut["contexts"] <= 20
    assert "its newest 20 offsets, " in run(running, "diff", *files, "--contexts", "20").stderr
    assert told(running, "diff", *files, "--since", "1s")["contexts"] == 0


def test_what_is_in_force_is_shown_and_stays_where_a_file_is_refused(running: Pipeline, files: tuple[Path, Path]) -> None:
    told(running, "apply", files[1])
    broken = files[1].with_name("broken.toml")
    broken.write_text(SECOND.replace('model = "deepseek"', 'model = "deepsek"'))
    refused = run(running, "apply", broken)
    assert refused.returncode == 1
    assert "broken.toml, line 8: rules[0].model: deepsek is not in the catalogue" in refused.stderr
    assert run(running, "show").stdout == SECOND
    again = told(running, "apply", files[1])
    assert again["was"] == again["digest"] == told(running, "show")["digest"]
    files[0].with_name("same.toml").write_text(FIRST.replace("version = 1", "version = 2"))
    assert "count it up at each change" in run(running, "apply", files[0].with_name("same.toml")).stderr


async def test_what_one_policy_routed_is_judged_by_it_though_another_is_in_force_when_it_is_answered(
    running: Pipeline, fresh_topics: Broker, files: tuple[Path, Path]
) -> None:
    told(running, "apply", files[0])
    await asyncio.sleep(READ_S)
    (worker,) = (process for process in running.started if process.name == "worker-phi3-0")
    worker.pause()  # shorter than it takes to be thought dead: what waits for it is not handed on
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        waiting = feed.bodies(20, keys=20, seed=4, label="waits", context=CLEAR, ttl_ms=3_600_000)
        sources = await feed.send(fresh_topics.bootstrap, waiting)
        routed = {str(source) for source in sources}
        hops = model_topic("phi3")
        await watch.until(lambda: routed <= {header_text(each.headers, SRC) for each in watch.of(hops)}, "all are routed")
        await asyncio.to_thread(told, running, "apply", files[1])
        worker.resume()
        await watch.until_answered(sources, 120)
    made = [each for name, each in decisions(watch).items() if name.startswith("waits")]
    first, _ = TRAILS
    assert [(each.route.policy, trail(each)) for each in made] == [(first, TRAILS[first])] * len(sources)
