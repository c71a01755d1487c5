"""Recorded contexts asked again of the running models: each once, whatever is killed, and their answers are records then."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backbone.settings import REPOSITORY
from replay import shelf
from replay.mask import pseudonym
from replay.plan import read_manifest
from schemas.canonical import parse_rfc3339, rfc3339
from schemas.decision import Decision
from schemas.headers import RUN_ID, header_text
from schemas.topic import CONTEXTS, DECISIONS, Side
from tests.broker.choosing import running
from tests.broker.test_replay import Ran, export, special, told, tried, written
from tests.support import feed
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching
from tests.unit.replay.recording import means

pytestmark = pytest.mark.broker

SENT = 90
FAULTS = json.dumps({"delay_ms": 5, "faults": {"garbage": "BADUSD"}})
KILLED_AT = 40
IDENTITIES = means().identities


@pytest.fixture
def ran(broker: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Ran]:
    """A router and four workers that have decided, and go on; what they decided is exported."""
    broker.wipe()
    broker.apply_topics()
    pipeline = Pipeline(broker, fresh_redis, tmp_path)
    own = running(pipeline, qwen=FAULTS)
    next(own)
    outcomes, moments = asyncio.run(lived(broker.bootstrap))
    span = ("--from", rfc3339(min(moments)), "--to", rfc3339(max(moments) + 1))
    export(pipeline, tmp_path / "ledger", span)
    yield Ran(pipeline, outcomes, span, tmp_path / "ledger")
    own.close()


async def lived(bootstrap: str) -> tuple[dict[str, int], list[int]]:
    async with watching(bootstrap, MODELS) as watch:
        faulty = special("BADUSD", context={"price": 100.0, "volatility": 0.9})
        over, refused, twice = special("OVERUSD", ttl_ms=0), special("NOUSD", ttl_ms=-1), special("TWICEUSD")
        sent = await feed.send(bootstrap, [*feed.bodies(SENT, 25, 7, MODELS), faulty, over, refused, twice, twice])
        sent.append(await written(bootstrap, CONTEXTS, b"nobody", b"no json"))
        await watch.until_answered(sent)
        return told(watch), [each.timestamp_ms for each in watch.of(CONTEXTS)]


def infer(ran: Ran, *how: str) -> dict[str, Any]:
    done = tried(ran, ran.ledger.parent / "runs", *(how or ("--engine", "infer")))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def kept(run: dict[str, Any]) -> list[Decision]:
    folder = Path(run["manifest"]).parent
    return [Decision.from_bytes(each.value) for book in shelf.books(folder, DECISIONS) for each in shelf.read(folder, book)]


async def in_the_log(bootstrap: str, topic: str) -> Counter[str | None]:
    """How many records each run has there."""
    async with watching(bootstrap, MODELS, Side.REPLAYS) as watch:
        await watch.read()
        return Counter(header_text(each.headers, RUN_ID) for each in watch.of(topic))


async def test_what_was_asked_of_the_running_models_is_kept_and_the_live_topics_hear_nothing_of_it(
    ran: Ran, broker: Broker
) -> None:
    run = infer(ran)
    decisions = sum(ran.outcomes.values()) - 2  # a repeat, and no JSON: what was refused live is refused again
    assert (run["contexts"], run["decisions"], run["misses"]) == (decisions + 2, decisions, 0)
    made = {each.context_id: each for each in kept(run)}
    assert len(made) == decisions == run["decisions"]
    assert made["NOUSD"].status == "REJECTED"
    assert made["OVERUSD"].status != "EXPIRED", "in a replay nobody is in a hurry"
    assert [each.outcome for each in made["BADUSD"].route.attempts] == ["failed:raised", "answered"]
    assert {each.route.policy for each in made.values() if each.route.policy} == {read_manifest(Path(run["manifest"]))["policy"]}
    assert run["engine_calls"] == sum(len(each.route.attempts) for each in made.values()) > SENT
    async with watching(broker.bootstrap, MODELS) as watch:
        await watch.read()
        assert told(watch) == ran.outcomes
    verified = ran.pipeline.command("replay", "verify", run["manifest"], "--json")
    assert verified.returncode == 0, verified.stderr + verified.stdout
    assert json.loads(verified.stdout)["differs"] == {}


async def test_a_run_that_was_killed_goes_on_and_asks_nothing_twice(
    ran: Ran, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_half_way(ran, monkeypatch, "replay.after_ask", "--engine", "infer")
    run = infer(ran)
    assert len({each.context_id for each in kept(run)}) == run["decisions"] == sum(ran.outcomes.values()) - 2
    asked = await in_the_log(broker.bootstrap, Side.REPLAYS.contexts)
    assert [*asked.values()] == [run["contexts"]], "one run, and each context once in it"


def kill_half_way(ran: Ran, monkeypatch: pytest.MonkeyPatch, point: str, *how: str) -> None:
    monkeypatch.setitem(ran.pipeline.environment, "TRADING_LLM_STOP_POINTS", f"{point}=kill@{KILLED_AT}")
    assert tried(ran, ran.ledger.parent / "runs", *how).returncode == -9
    monkeypatch.delitem(ran.pipeline.environment, "TRADING_LLM_STOP_POINTS")


@pytest.mark.parametrize("how", [("--engine", "infer"), ("--on-miss", "infer", "--processes", "2")])
async def test_a_prompt_that_changed_is_asked_once_and_is_a_record_then(
    ran: Ran, broker: Broker, fresh_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...]
) -> None:
    changed = tmp_path / "models"
    shutil.copytree(REPOSITORY / "deploy" / "models", changed)
    for file in changed.rglob("*.toml"):
        file.write_text(file.read_text().replace('answer in JSON."', 'answer in JSON!"'))
    missed = tried(ran, tmp_path / "runs")
    assert missed.returncode == 0, "nothing changed yet"
    ran.pipeline.close()
    ran = replace(ran, pipeline=Pipeline(broker, fresh_redis, tmp_path / "changed"))
    ran.pipeline.environment["TRADING_LLM_CATALOGUE"] = str(changed)
    missed = tried(ran, tmp_path / "runs")
    assert missed.returncode == 1 and "what was recorded has another prompt" in missed.stderr
    own = running(ran.pipeline, qwen=FAULTS)
    next(own)
    kill_half_way(ran, monkeypatch, "replay.after_outcome", *how)
    run = infer(ran, *how)
    own.close()
    recorded = tried(ran, tmp_path / "runs")
    assert recorded.returncode == 0, recorded.stderr
    found = json.loads(recorded.stdout)
    assert (found["misses"], found["engine_calls"]) == (0, 0) and run["engine_calls"] > SENT
    asked = await in_the_log(broker.bootstrap, Side.REPLAYS.contexts)
    assert sum(asked.values()) == (run["engine_calls"] if "--on-miss" in how else run["contexts"]), "nothing is asked twice"
    if "--on-miss" in how:
        assert found["root_digest"] == run["root_digest"], "the same deciders, and now the same records"
        assert run["decisions"] == found["decisions"] and {each.status for each in kept(run)} >= {"EXPIRED", "REJECTED"}


async def test_candles_are_asked_about_and_masked_where_that_is_wanted(ran: Ran, broker: Broker, tmp_path: Path) -> None:
    candles = REPOSITORY / "examples" / "market-data" / "bybit-BTCUSDT-1m-20221213.csv"
    asked = ("replay", "run", "--engine", "infer", "--csv", f"BTCUSDT={candles}", "--every", "40", "--runs", tmp_path, "--json")
    plain, masked = (ran.pipeline.command(*asked, *more) for more in ((), ("--mask",)))
    assert (plain.returncode, masked.returncode) == (0, 0), plain.stderr + masked.stderr
    own, other = ({each.context_id: each for each in kept(json.loads(done.stdout))} for done in (plain, masked))
    assert own.keys() == other.keys() and len(own) == (1440 - 30) // 40 + 1
    for name, decision in own.items():
        hidden = other[name]
        assert (hidden.symbol, hidden.as_of, hidden.price_ref) == ("BTCUSDT", decision.as_of, decision.price_ref)
        assert decision.model is not None and hidden.model is not None and decision.generation and hidden.generation
        assert hidden.model.cutoff == IDENTITIES[hidden.model.name].cutoff(parse_rfc3339(hidden.as_of or ""))
        assert hidden.generation.key != decision.generation.key, "another prompt"
    async with watching(broker.bootstrap, MODELS, Side.REPLAYS) as watch:
        await watch.read()
        sent = {Decision.from_bytes(each.value).symbol for each in watch.of(Side.REPLAYS.decisions)}
    assert sent == {"BTCUSDT", pseudonym("BTCUSDT")}
