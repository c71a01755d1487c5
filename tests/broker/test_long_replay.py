"""Ten thousand contexts on real Kafka, with all that can befall them, are replayed: always one digest, and no engine is asked."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replay import run as running_replay
from replay import shelf
from replay.plan import Plan, read_manifest
from schemas.canonical import rfc3339
from schemas.decision import Decision
from schemas.topic import CONTEXTS, CONTROL, DEAD_LETTERS, DECISIONS
from tests.broker import drawing
from tests.broker.choosing import running
from tests.broker.test_replay import HALTED_S, VOLATILE, Ran, export, replay, special, told, tried, written
from tests.support import feed
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching
from tests.unit.replay.recording import means

pytestmark = pytest.mark.broker

SENT = 10_000
LIVED_S_MAX = 240.0
TTL_MS = 600_000  # none of those that are to be decided is over before, however slow the machine
FAULTS = {"garbage": "S3USD", "nan": "S5USD", "cut": "S7USD", "raise": "S9USD"}  # of qwen, each for one key in forty


@pytest.fixture(scope="module")
def ran(fresh_topics: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The live run, and its export."""
    redis_server.flush()
    folder = tmp_path_factory.mktemp("long")
    pipeline = Pipeline(fresh_topics, redis_server, folder)
    pipeline.environment["TRADING_LLM_ROUTER"] = drawing.NAME
    own = running(pipeline, qwen=json.dumps({"faults": FAULTS}))
    next(own)
    outcomes, moments = asyncio.run(lived(fresh_topics.bootstrap))
    own.close()
    span = ("--from", rfc3339(min(moments)), "--to", rfc3339(max(moments) + 1))
    export(pipeline, folder / "ledger", span)
    yield Ran(pipeline, outcomes, span, folder / "ledger")


async def lived(bootstrap: str) -> tuple[dict[str, int], list[int]]:
    """What became of everything, and when each context came; halts come and go on `control` in between."""
    bodies, halt = contexts(), b'{"mode": "full"}'
    third = len(bodies) // 3
    async with watching(bootstrap, MODELS) as watch:
        sent = await feed.send(bootstrap, bodies[:third])
        await watch.until_answered(sent, LIVED_S_MAX)
        await written(bootstrap, CONTROL, b"halt/symbol/S1USD", halt)
        await written(bootstrap, CONTROL, b"halt/bot/bot2", b'{"mode": "reduce_only"}')
        await asyncio.sleep(HALTED_S)
        sent += await feed.send(bootstrap, bodies[third : 2 * third])
        await written(bootstrap, CONTROL, b"halt/model/phi3", halt)  # with all of them under way
        await watch.until_answered(sent, LIVED_S_MAX)
        sent += await feed.send(bootstrap, bodies[2 * third :])
        await watch.until_answered(sent, LIVED_S_MAX)
        return told(watch) | arms(watch), [each.timestamp_ms for each in watch.of(CONTEXTS)]


def contexts() -> list[feed.Body]:
    """Those that are decided, with others strewn in: over, refused, sent twice, and handed on."""
    found = feed.bodies(SENT - 300, 40, 11, ttl_ms=TTL_MS)
    for body in found[::3]:
        body["context"] |= VOLATILE["context"] | {"price": body["context"]["price"]}
    for body in found[::7]:
        body["model_preference"] = MODELS[len(body["symbol"]) % len(MODELS)]
    found += [special(f"OVER{number}USD", ttl_ms=0) for number in range(100)]
    found += [special(f"NO{number}USD", ttl_ms=-1) for number in range(100)]
    found += found[:100]
    random.Random(12).shuffle(found)
    return found


def arms(watch: Watch) -> dict[str, int]:
    """How many decisions tell which arm, and how many were handed on."""
    routes = [Decision.from_bytes(each.value).route for each in watch.of(DECISIONS)]
    drawn = Counter(f"arm {route.arm}" for route in routes if route.arm is not None)
    return drawn | {"handed on": sum(len(route.attempts) > 1 for route in routes)}


def decisions(ran: Ran) -> int:
    return SENT - ran.outcomes[DEAD_LETTERS]


def test_ten_thousand_contexts_met_all_that_is_to_be_replayed(ran: Ran) -> None:
    for what in ("DECIDED", "EXPIRED", "REJECTED", "HALTED", "ABSTAINED_LOW_CONFIDENCE", "arm control", "arm other", "handed on"):
        assert ran.outcomes[what] >= 50, (what, ran.outcomes)
    assert ran.outcomes[DEAD_LETTERS] == 100


def test_they_come_to_one_digest_whoever_decides_in_whatever_order_and_whenever_killed(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = replay(ran, tmp_path / "one"), replay(ran, tmp_path / "two", "--processes", "2")
    for made in (one, other):
        assert (made["contexts"], made["decisions"], made["misses"], made["engine_calls"]) == (SENT, decisions(ran), 0, 0)
    compared = json.loads(ran.pipeline.command("replay", "compare", ran.ledger, one["manifest"], "--json").stdout)
    assert (compared["decisions"], compared["alike"]) == (decisions(ran), decisions(ran)), compared
    resumed = killed_half_way(ran, tmp_path / "killed")
    verified = ran.pipeline.command("replay", "verify", one["manifest"], "--processes", "3", "--json")
    assert verified.returncode == 0 and json.loads(verified.stdout)["holds"], verified.stderr
    assert one["root_digest"] == other["root_digest"] == resumed["root_digest"] == backwards(one, tmp_path, monkeypatch)


def killed_half_way(ran: Ran, runs: Path) -> dict[str, Any]:
    """A run that died by SIGKILL once half of its files were done, gone on with by another number of processes."""
    half = len(shelf.books(ran.ledger, CONTEXTS)) // 2
    assert half > 1
    ran.pipeline.environment["TRADING_LLM_STOP_POINTS"] = f"replay.after_chunk=kill@{half}"
    try:
        killed = tried(ran, runs)
    finally:
        del ran.pipeline.environment["TRADING_LLM_STOP_POINTS"]
    assert killed.returncode == -9 and len(list(runs.rglob("done/*.json"))) == half
    resumed = replay(ran, runs, "--processes", "2")
    assert resumed["run_id"].endswith("-1")
    return resumed


def backwards(made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The digest of the same plan, its files from the last to the first."""
    own = shelf.books
    monkeypatch.setattr(shelf, "books", lambda folder, topic: own(folder, topic)[::-1])
    wanted = Plan.from_document(read_manifest(Path(made["manifest"]))["plan"])
    document = running_replay.run(wanted, means(), tmp_path / "backwards", 1, lambda step, done, total: None)
    return str(document["root_digest"])
