"""F23: a model dies, or sleeps, with a backlog: its chain takes the backlog over in time, and it is fed again when it is back."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest

from schemas.canonical import parse_rfc3339
from schemas.decision import Decision
from schemas.headers import SRC, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import DECISIONS, model_topic
from tests.faults.case import Case
from tests.faults.stop_points import Rig, asleep, fired
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F23")]

DEAD, INSTEAD = "qwen", "deepseek"
MODELS = (INSTEAD, DEAD)  # qwen's chain ends at deepseek
INSIDE = "lane.after_produce"
WAITING = 500
SLOW = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 1_000}), "TRADING_LLM_SESSION_TIMEOUT_S": "6"}
# Without their own doubt about what took so long.
SURE = {"TRADING_LLM_COMMIT_DOUBT_S": "60", "TRADING_LLM_CLAIM_S": "60"}
TTL_MS = 45_000
FED_AGAIN_S_MAX = 5.0  # of being healthy; one of them is an answer
RETURNS_S_MAX = 30.0
WELL = f" model.healthy model={DEAD} "


@pytest.fixture
async def fleet(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A router and a worker of the fallback, ready."""
    pipeline = Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS)
    try:
        await ready(pipeline.router(), pipeline.worker(INSTEAD))
        async with watching(fresh_topics.bootstrap, MODELS) as watch:
            yield Rig(pipeline, watch, label=tmp_path.name)
    finally:
        pipeline.close()


async def ready(*processes: Running) -> list[Running]:
    for process in processes:
        await asyncio.to_thread(process.wait_ready)
    return list(processes)


async def slow_workers(fleet: Rig, *environments: dict[str, str]) -> list[Running]:
    """Of the model that is to die, ready."""
    return await ready(*(fleet.pipeline.worker(DEAD, n, SLOW | SURE | each) for n, each in enumerate(environments)))


def router_of(fleet: Rig) -> Running:
    return next(process for process in fleet.pipeline.started if process.name == "router-0")


async def sent(fleet: Rig, label: str, count: int, **fields: object) -> list[Source]:
    bodies = feed.bodies(count, 40, 23, (DEAD,), f"{fleet.label}-{label}", **fields)
    return await feed.send(fleet.bootstrap, bodies)


def decided(fleet: Rig, sources: Iterable[Source]) -> dict[Source, tuple[Record, Decision]]:
    found = {Source.parse(header_text(each.headers, SRC) or ""): each for each in fleet.watch.of(DECISIONS)}
    return {source: (found[source], Decision.from_bytes(found[source].value)) for source in sources}


def trail(decision: Decision) -> tuple[tuple[str, str], ...]:
    return tuple((attempt.model, attempt.outcome) for attempt in decision.route.attempts)


async def backlog(fleet: Rig) -> list[Source]:
    """Contexts that wait for the model, of which it has answered some."""
    sources = await sent(fleet, "waiting", WAITING, ttl_ms=TTL_MS)
    await fleet.watch.until(lambda: len(hops(fleet, sources)) == WAITING, "all wait for it")
    await fleet.watch.until(lambda: len(fleet.watch.answered.intersection(sources)) > 10, "it has begun to answer")
    return sources


async def fed_again(fleet: Rig, case: Case, seen_well: int) -> list[Source]:
    """Contexts sent while it comes back. Measured: from when its router says once more that it is well, until it answers."""
    began_s, well_s, sources = time.monotonic(), 0.0, list[Source]()
    while time.monotonic() - began_s < RETURNS_S_MAX and "fed again after s" not in case.figures:
        sources += await sent(fleet, f"again{len(sources)}", 4, ttl_ms=TTL_MS)
        await fleet.go_on(0.2)
        if not well_s and router_of(fleet).said().count(WELL) > seen_well:
            well_s = time.monotonic()
        if well_s and any(each.model and each.model.name == DEAD for each in answers(fleet, sources)):
            case.figures["fed again after s"] = round(time.monotonic() - well_s, 1)
    await fleet.watch.until_answered(sources)
    return sources


def answers(fleet: Rig, sources: Sequence[Source]) -> list[Decision]:
    return [each for _, each in decided(fleet, fleet.watch.answered.intersection(sources)).values()]


def hops(fleet: Rig, sources: Sequence[Source]) -> list[Record]:
    wanted = {str(source) for source in sources}
    return [each for each in fleet.watch.of(model_topic(DEAD)) if header_text(each.headers, SRC) in wanted]


def note_rescue(fleet: Rig, case: Case, sources: Sequence[Source], struck_ms: float) -> Counter[str]:
    """How many of these were rescued, or ended otherwise, and within what time of the fault."""
    ends = decided(fleet, sources)
    rescued = [record for record, each in ends.values() if trail(each) == ((DEAD, "rescued"), (INSTEAD, "answered"))]
    newest = max((record.timestamp_ms for record in rescued), default=struck_ms)
    case.fired = len(rescued)
    case.recovery_s = [(newest - struck_ms) / 1000]
    statuses = Counter("answered" if each.model else each.status.value for _, each in ends.values())
    case.figures |= dict(statuses) | {"rescued": len(rescued), "last after s": round(case.recovery_s[0], 1)}
    return statuses


async def test_all_workers_of_a_model_die_with_a_backlog(fleet: Rig, case: Case) -> None:
    victims = await slow_workers(fleet, {}, {})
    sources = await backlog(fleet)
    alone = await sent(fleet, "alone", 20, ttl_ms=20_000, fallback=False)
    hurried = await sent(fleet, "hurried", 20, ttl_ms=3_000, fallback=False)  # over before anybody can know that it is dead
    await fleet.watch.until(lambda: len(hops(fleet, [*alone, *hurried])) == 40, "these wait, too")
    for process in victims:
        process.kill()
    struck_ms = time.time() * 1000
    await fleet.watch.until_answered([*sources, *alone, *hurried])
    assert note_rescue(fleet, case, sources, struck_ms) == {"answered": WAITING}
    for record, each in decided(fleet, alone).values():
        late_ms = record.timestamp_ms - parse_rfc3339(each.valid_until or "")
        assert (each.status, trail(each)) == ("ABSTAINED_NO_MODEL", ((DEAD, "rescued"),)) and late_ms < 0
        assert "qwen is DOWN" in each.route.reason
    assert {(each.status.value, trail(each)) for _, each in decided(fleet, hurried).values()} == {("EXPIRED", ())}
    router = router_of(fleet)
    assert router.said().count("lane.rescue ") == 4, "each of its lanes is taken over once"
    seen_well = router.said().count(WELL)
    for ordinal in range(2):
        fleet.pipeline.worker(DEAD, ordinal, SLOW)
    again = await fed_again(fleet, case, seen_well)
    case.judge(await fleet.watch.settled(60), WAITING + 40 + len(again))
    assert float(case.figures["fed again after s"]) < FED_AGAIN_S_MAX
    assert router.said().count("lane.rescued ") == 4, "and given back"
    assert router.popen.poll() is None


async def test_all_workers_of_a_model_sleep_past_every_time_out_and_wake(fleet: Rig, case: Case) -> None:
    # One of them inside a transaction, so that it really tries to write when it wakes.
    sleepers = await slow_workers(fleet, {"TRADING_LLM_STOP_POINTS": f"{INSIDE}=stop@6"}, {})
    sources = await backlog(fleet)
    await fleet.watch.until(lambda: asleep(sleepers[0]), "it stops inside a transaction")
    sleepers[1].pause()
    struck_ms = time.time() * 1000
    await fleet.watch.until_answered(sources)
    assert note_rescue(fleet, case, sources, struck_ms) == {"answered": WAITING}
    seen_well = router_of(fleet).said().count(WELL)
    for process in sleepers:
        process.resume()
    again = await fed_again(fleet, case, seen_well)
    verdict = await fleet.watch.settled(60)
    case.figures["fenced"] = sum(process.said().count("was claimed elsewhere") for process in sleepers)
    case.judge(verdict, WAITING + len(again))
    assert case.figures["fenced"], "no sleeper tried to write into a lane that it had lost"
    assert float(case.figures["fed again after s"]) < FED_AGAIN_S_MAX
    assert fired(sleepers[0], INSIDE) == 1
    assert [process.popen.poll() for process in sleepers] == [None, None]
