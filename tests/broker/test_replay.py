"""A live run on real Kafka, replayed: the same decisions, from files or from the topics, however it is done, and no engine."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backbone import clients
from backbone.settings import REPOSITORY, Settings
from schemas.canonical import rfc3339
from schemas.decision import Decision
from schemas.source import Source
from schemas.topic import CONTEXTS, CONTROL, DEAD_LETTERS, DECISIONS
from tests.broker.choosing import running
from tests.support import feed
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching

pytestmark = pytest.mark.broker

CONTEXTS_SENT = 160
FAULTS = {"garbage": "BADUSD", "nan": "NANUSD", "raise": "RAISEUSD", "hang": "HANGUSD"}
VOLATILE = {"context": {"price": 100.0, "volatility": 0.9}}  # goes to qwen, the model at fault
HALTED_S = 1.0  # within which every process has read a halt
DEAD = 2  # a repeat, and no JSON


@dataclass(frozen=True, slots=True)
class Ran:
    """A live run that is over: where it lies, when it was, and what an export made of it."""

    pipeline: Pipeline
    outcomes: dict[str, int]
    span: tuple[str, ...]
    ledger: Path


@pytest.fixture(scope="module")
def ran(fresh_topics: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A router and four workers, of which one fails in every way; refusals, an expiry, a halt, and two exports of it."""
    redis_server.flush()
    folder = tmp_path_factory.mktemp("replayed")
    pipeline = Pipeline(fresh_topics, redis_server, folder)
    own = running(pipeline, qwen=json.dumps({"delay_ms": 5, "faults": FAULTS}))
    next(own)
    outcomes, moments = asyncio.run(lived(fresh_topics.bootstrap))
    own.close()
    span = ("--from", rfc3339(min(moments)), "--to", rfc3339(max(moments) + 1))
    export(pipeline, folder / "ledger", span)
    yield Ran(pipeline, outcomes, span, folder / "ledger")


async def lived(bootstrap: str) -> tuple[dict[str, int], list[int]]:
    """What became of everything, and when each context came."""
    async with watching(bootstrap, MODELS) as watch:
        await live(bootstrap, watch)
        return told(watch), [each.timestamp_ms for each in watch.of(CONTEXTS)]


async def live(bootstrap: str, watch: Watch) -> None:
    """Everything that a context can come to, but a death."""
    faulty = [special(symbol, **VOLATILE) for symbol in ("BADUSD", "NANUSD", "RAISEUSD")]
    hangs = special("HANGUSD", ttl_ms=1_500, **VOLATILE)
    alone = special("BADUSD", context_id="alone", fallback=False, **VOLATILE)
    over, refused, twice = special("OVERUSD", ttl_ms=0), special("NOUSD", ttl_ms=-1), special("TWICEUSD")
    sent = await feed.send(bootstrap, feed.bodies(CONTEXTS_SENT, 25, 7, MODELS))
    sent += await feed.send(bootstrap, [*faulty, hangs, alone, over, refused, twice, twice])
    sent += [await written(bootstrap, CONTEXTS, b"nobody", b"no json")]
    await written(bootstrap, CONTROL, b"halt/symbol/HALTUSD", b'{"mode": "full"}')
    await written(bootstrap, CONTROL, b"halt/bot/careful", b'{"mode": "reduce_only"}')
    await asyncio.sleep(HALTED_S)
    sent += await feed.send(bootstrap, [special("HALTUSD"), *careful()])
    await watch.until_answered(sent)


def special(symbol: str, **fields: Any) -> feed.Body:
    return {"context": {"price": 100.0}, "bot_id": "special", "symbol": symbol, "context_id": symbol} | fields


def careful() -> list[feed.Body]:
    return feed.bodies(12, 12, 8, label="careful", bot_id="careful")


async def written(bootstrap: str, topic: str, key: bytes, value: bytes) -> Source:
    """Where this record lies, now that it is written."""
    producer = clients.plain_producer(Settings(kafka_bootstrap=bootstrap))
    await producer.start()
    at = await producer.send_and_wait(topic, key=key, value=value)
    await clients.stop(producer)
    return Source(at.topic, at.partition, at.offset)


def told(watch: Watch) -> dict[str, int]:
    """How many outcomes there were of each status, and dead letters."""
    counts = {DEAD_LETTERS: len(watch.of(DEAD_LETTERS))}
    for each in watch.of(DECISIONS):
        status = Decision.from_bytes(each.value).status
        counts[status] = counts.get(status, 0) + 1
    return counts


def export(pipeline: Pipeline, folder: Path, span: tuple[str, ...]) -> dict[str, Any]:
    done = pipeline.command("ledger", "export", *span, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def replay(ran: Ran, runs: Path, *more: str, source: bool = True) -> dict[str, Any]:
    done = tried(ran, runs, *more, source=source)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def tried(ran: Ran, runs: Path, *more: str, source: bool = True) -> subprocess.CompletedProcess[str]:
    where = ("--source", str(ran.ledger)) if source else ran.span
    return ran.pipeline.command("replay", "run", *where, "--runs", runs, "--json", *more)


async def test_the_live_run_held_all_that_a_replay_must_come_to_again(ran: Ran) -> None:
    assert ran.outcomes[DEAD_LETTERS] == DEAD
    assert set(ran.outcomes) > {
        "DECIDED", "ABSTAINED_LOW_CONFIDENCE", "ABSTAINED_BAD_OUTPUT", "EXPIRED", "HALTED", "REJECTED", "BLOCKED_BY_RISK",
    }  # fmt: skip
    assert ran.outcomes["EXPIRED"] == 2


async def test_a_range_may_begin_before_the_epoch(ran: Ran, tmp_path: Path) -> None:
    found = export(ran.pipeline, tmp_path, ("--from", "1960-01-01T00:00:00Z", *ran.span[2:]))
    assert found["records"] == json.loads((ran.ledger / "export.json").read_text())["records"]


async def test_two_replays_have_one_digest_and_ask_no_engine(ran: Ran, tmp_path: Path) -> None:
    one, other = replay(ran, tmp_path), replay(ran, tmp_path)
    assert one["run_id"] != other["run_id"] and one["root_digest"] == other["root_digest"]
    decisions = sum(ran.outcomes.values()) - ran.outcomes[DEAD_LETTERS]
    assert (one["decisions"], one["misses"], one["engine_calls"]) == (decisions, 0, 0)
    compared = ran.pipeline.command("replay", "compare", ran.ledger, one["manifest"], "--json")
    found = json.loads(compared.stdout)
    assert (found["decisions"], found["alike"]) == (decisions, decisions), found
    verified = ran.pipeline.command("replay", "verify", one["manifest"], "--json")
    assert verified.returncode == 0 and json.loads(verified.stdout)["holds"], verified.stderr


async def test_processes_and_the_topics_themselves_come_to_the_same_digest(ran: Ran, tmp_path: Path) -> None:
    digests = {replay(ran, tmp_path / "files", "--processes", count)["root_digest"] for count in ("1", "2")}
    digests.add(replay(ran, tmp_path / "topics", "--processes", "2", source=False)["root_digest"])
    assert len(digests) == 1


async def test_one_byte_of_a_prompt_makes_a_miss_that_names_context_and_part(ran: Ran, tmp_path: Path) -> None:
    catalogue = tmp_path / "models"
    shutil.copytree(REPOSITORY / "deploy" / "models", catalogue)
    file = catalogue / "deepseek.toml"
    was = file.read_text(encoding="utf-8")
    at = was.rindex("{symbol}")
    file.write_text(was[:at] + "." + was[at:], encoding="utf-8")
    ran.pipeline.environment["TRADING_LLM_CATALOGUE"] = str(catalogue)
    try:
        missed = tried(ran, tmp_path / "runs")
    finally:
        del ran.pipeline.environment["TRADING_LLM_CATALOGUE"]
    assert missed.returncode == 1 and missed.stdout == ""
    assert "no answer of deepseek is recorded" in missed.stderr and "another prompt" in missed.stderr
    assert "context '" in missed.stderr and "(contexts/" in missed.stderr


async def test_what_is_killed_half_way_goes_on_and_comes_to_the_same(ran: Ran, tmp_path: Path) -> None:
    whole = replay(ran, tmp_path / "whole")
    ran.pipeline.environment["TRADING_LLM_STOP_POINTS"] = "export.after_file=kill@5,replay.after_chunk=kill@3"
    try:
        killed = ran.pipeline.command("ledger", "export", *ran.span, "--out", tmp_path / "ledger")
        assert killed.returncode == -9 and len(list((tmp_path / "ledger").rglob("*.parquet"))) == 5
        killed = tried(ran, tmp_path / "runs")
        assert killed.returncode == -9 and len(list((tmp_path / "runs").rglob("done/*.json"))) == 3
    finally:
        del ran.pipeline.environment["TRADING_LLM_STOP_POINTS"]
    exported = export(ran.pipeline, tmp_path / "ledger", ran.span)
    assert exported["records"] == json.loads((ran.ledger / "export.json").read_text())["records"]
    again = replay(ran, tmp_path / "runs")
    assert again["run_id"].endswith("-1") and again["root_digest"] == whole["root_digest"]
    other = replay(replace(ran, ledger=tmp_path / "ledger"), tmp_path / "other")
    assert other["root_digest"] == whole["root_digest"]
