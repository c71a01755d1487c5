"""Replays on real Kafka: behind live contexts, in topics of their own, each decided once in its run."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from backbone import clients
from backbone.heartbeat import Heartbeats
from backbone.settings import Settings
from backbone.topics import MODEL_PARTITIONS
from schemas.decision import Decision
from schemas.headers import ORIGIN, REASON, RUN_ID, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTROL, MODELS_STATUS, Side
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching
from trading_llm.fault import TWICE

pytestmark = pytest.mark.broker

MODEL, OTHER = "phi3", "deepseek"
MODELS = (OTHER, MODEL)
REPLAYS, LIVE = Side.REPLAYS, Side.LIVE
SLOW = {"TRADING_LLM_SCRIPT": '{"delay_ms": 50}'}
SOON = {"TRADING_LLM_SESSION_TIMEOUT_S": "6"}
NO_TTL = {"ttl_ms": 600_000}  # nothing expires on a slow machine


@pytest.fixture
def stack(broker: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline on an empty Kafka."""
    broker.wipe()
    broker.apply_topics()
    made = Pipeline(broker, fresh_redis, tmp_path, models=MODELS)
    yield made
    made.close()


@pytest.fixture
async def live(stack: Pipeline, broker: Broker) -> AsyncIterator[Watch]:
    async with watching(broker.bootstrap, MODELS, LIVE) as made:
        yield made


@pytest.fixture
async def replayed(stack: Pipeline, broker: Broker) -> AsyncIterator[Watch]:
    async with watching(broker.bootstrap, MODELS, REPLAYS) as made:
        yield made


def decisions(records: Collection[Record]) -> list[Decision]:
    return [Decision.from_bytes(each.value) for each in records]


async def states_said(settings: Settings) -> set[str]:
    """Every state that `models.status` holds of any model."""
    consumer, place = clients.reader(settings, auto_offset_reset="earliest"), clients.TopicPartition(MODELS_STATUS, 0)
    consumer.assign([place])
    await consumer.start()
    try:
        end, states = (await consumer.end_offsets([place]))[place], set[str]()
        while await consumer.position(place) < end:
            read = await consumer.getmany(place, timeout_ms=500)
            states |= {json.loads(each.value or b"{}").get("state", "") for each in read.get(place, ())}
        return states
    finally:
        await clients.stop(consumer)


async def halt_all(settings: Settings) -> None:
    producer = clients.plain_producer(settings)
    await producer.start()
    await producer.send_and_wait(CONTROL, key=b"halt/all", value=b'{"why": "a test"}')
    await clients.stop(producer)


async def test_a_context_is_decided_once_live_and_once_in_each_run(stack: Pipeline, live: Watch, replayed: Watch) -> None:
    """Neither today's clock nor today's halt is a replay's, and nothing of it appears where live ones lie."""
    script = {"TRADING_LLM_SCRIPT": '{"faults": {"garbage": "BROKEN"}}'}
    for process in (stack.router(), *(stack.worker(model, env=script) for model in MODELS)):
        process.wait_ready()
    bootstrap, bodies = live.settings.kafka_bootstrap, feed.bodies(60, 12, 1, MODELS)
    await live.until_answered(await feed.send(bootstrap, bodies))
    await halt_all(live.settings)

    sources = [*await feed.replay(bootstrap, bodies, "one"), *await feed.replay(bootstrap, bodies, "two")]
    repeated = await feed.replay(bootstrap, bodies[:5], "one")
    await replayed.until_answered([*sources, *repeated])
    made = replayed.of(REPLAYS.decisions)
    named = Counter((header_text(each.headers, RUN_ID), Decision.from_bytes(each.value).context_id) for each in made)
    assert named == Counter((run, body["context_id"]) for run in ("one", "two") for body in bodies)
    originals = {header_text(each.headers, ORIGIN) for each in made}
    assert originals == {f"contexts/0/{n}@{feed.LONG_AGO_MS + 1_000 * n}" for n in range(60)}
    assert {each.status for each in decisions(made)} <= {"DECIDED", "ABSTAINED_LOW_CONFIDENCE", "BLOCKED_BY_RISK"}
    assert {each.as_of[:4] for each in decisions(made) if each.as_of} == {"2020"}
    letters = replayed.of(REPLAYS.dead_letters)
    assert [header_text(each.headers, REASON) for each in letters] == ["duplicate_context_id"] * 5

    await live.read()
    ids = [each.decision_id for each in decisions((*live.of(LIVE.decisions), *made))]
    assert len(set(ids)) == len(ids) == 180, "the same contexts, live and in two runs"
    assert (len(live.of(LIVE.decisions)), live.of(LIVE.dead_letters)) == (60, ())

    failing = [each | {"symbol": "BROKEN"} for each in feed.bodies(40, 1, 2, MODELS, "broken")]
    await replayed.until_answered(await feed.replay(bootstrap, failing, "three"))
    assert [each.status for each in decisions(replayed.of(REPLAYS.decisions))].count("ABSTAINED_BAD_OUTPUT") == 40
    assert {len(each.route.attempts) for each in decisions(replayed.of(REPLAYS.decisions))} == {1, 2}, "handed on, too"
    await live.until_answered(await feed.send(bootstrap, feed.bodies(20, 10, 3, MODELS, "after")))
    for watch in (live, replayed):
        verdict = await watch.settled(30)
        assert verdict.holds, str(verdict)
    assert await states_said(live.settings) <= {"HEALTHY", "DOWN"}, "five failures of a model's live questions open it"


async def test_live_contexts_are_answered_before_a_backlog_of_replays(stack: Pipeline, live: Watch, replayed: Watch) -> None:
    bootstrap = live.settings.kafka_bootstrap
    backlog = set(await feed.replay(bootstrap, feed.bodies(3_000, 50, 1, (MODEL,)), "backlog"))
    stack.router().wait_ready()
    worker = stack.worker(MODEL, env=SLOW).wait_ready()
    await replayed.until(lambda: len(replayed.answered) > 100, "it is worked off")
    beats = Heartbeats(Settings(redis_url=stack.environment["TRADING_LLM_REDIS_URL"]))
    (beat,) = (await beats.read() or {}).values()
    await beats.close()
    assert (beat.ready, beat.queue, beat.in_flight, beat.answered, beat.service_ms) == (True, 0, 0, 0, None)
    for burst in range(4):
        await live.until_answered(await feed.send(bootstrap, feed.bodies(50, 50, 2, (MODEL,), f"b{burst}", **NO_TTL)))
    await replayed.read()
    assert len(backlog - replayed.answered) > 500, "the backlog was through before"
    assert {each.model.name for each in decisions(live.of(LIVE.decisions)) if each.model} == {MODEL}
    assert worker.probe.answers()
    await replayed.until_answered(backlog, 120)
    for watch in (live, replayed):
        verdict = await watch.settled(30)
        assert verdict.holds, str(verdict)
        assert "EXPIRED" not in verdict.statuses


async def test_workers_and_routers_that_are_killed_while_they_replay_lose_and_repeat_nothing(
    stack: Pipeline, live: Watch, replayed: Watch
) -> None:
    bootstrap = live.settings.kafka_bootstrap
    backlog = await feed.replay(bootstrap, feed.bodies(2_000, 50, 3, (MODEL,)), "killed")
    router = stack.router(env=SOON).wait_ready()
    worker = stack.worker(MODEL, env=SLOW | SOON).wait_ready()
    sources = []
    for kills in range(1, 4):
        await replayed.until(lambda kills=kills: len(replayed.answered) > 150 * kills, "it is worked off")  # type: ignore[misc]
        worker.kill()
        router.kill()
        router, worker = stack.router(env=SOON), stack.worker(MODEL, env=SLOW | SOON)
        sources += await feed.send(bootstrap, feed.bodies(20, 10, 4, (MODEL,), f"live{kills}", **NO_TTL))
    await live.until_answered(sources)
    await replayed.until_answered(backlog, 120)
    for watch in (live, replayed):
        verdict = await watch.settled(30)
        assert verdict.holds, str(verdict)
        assert not any(status.startswith("dead:") for status in verdict.statuses), str(verdict)


async def test_a_replay_that_ends_its_worker_each_time_ends_and_takes_no_live_context_along(
    stack: Pipeline, live: Watch, replayed: Watch
) -> None:
    bootstrap = live.settings.kafka_bootstrap
    deadly = {"TRADING_LLM_SCRIPT": '{"delay_ms": 200, "faults": {"die": "POISON"}}'} | SOON
    stack.router().wait_ready()
    bodies = feed.bodies(30, 10, 5, (MODEL,), fallback=False)
    poison = feed.bodies(1, 1, 6, (MODEL,), "poison", fallback=False)[0] | {"symbol": "POISON"}
    sources = await feed.replay(bootstrap, [*bodies[:10], poison, *bodies[10:]], "deadly")
    asked = await feed.send(bootstrap, feed.bodies(40, 10, 7, (MODEL,), **NO_TTL))
    worker, lives = stack.worker(MODEL, env=deadly), 1
    while set(sources) - replayed.answered:
        await replayed.read()
        if worker.popen.poll() is not None:
            assert lives < 8, "it dies again and again"
            asked += await feed.send(bootstrap, feed.bodies(20, 10, 8, (MODEL,), f"life{lives}", **NO_TTL))
            worker, lives = stack.worker(MODEL, env=deadly), lives + 1
    assert [header_text(each.headers, REASON) for each in replayed.of(REPLAYS.dead_letters)] == ["undecidable"]
    await live.until_answered(asked)
    for watch in (live, replayed):
        verdict = await watch.settled(30)
        assert verdict.holds, str(verdict)
    assert live.of(LIVE.dead_letters) == ()


def delete_offsets(bootstrap: str, group: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_consumer_groups([group])[group].result(10)


def set_to_start(bootstrap: str, group: str, topic: str) -> bool:
    """Whether the broker took these offsets: it does while the group has no member."""
    offsets = [TopicPartition(topic, partition, 0) for partition in range(MODEL_PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    done = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])
    return not any(each.error for each in done[group].result(10).topic_partitions)


def given_up(worker: Running) -> int:
    return worker.said().count(f"reader.ended group={REPLAYS.worker_group(MODEL)} ")


async def test_replays_that_cannot_be_read_keep_no_live_context_waiting(stack: Pipeline, live: Watch, replayed: Watch) -> None:
    bootstrap, group = live.settings.kafka_bootstrap, REPLAYS.worker_group(MODEL)
    await asyncio.to_thread(delete_offsets, bootstrap, group)
    stack.router().wait_ready()
    worker = stack.worker(MODEL).wait_ready()
    waiting = await feed.replay(bootstrap, feed.bodies(20, 10, 9, (MODEL,)), "waits")
    await live.until(lambda: given_up(worker) > 1, "it tries again and again")
    await live.until_answered(await feed.send(bootstrap, feed.bodies(20, 10, 9, (MODEL,), **NO_TTL)))
    assert worker.probe.answers()
    assert f"group {group} has no offset on {REPLAYS.waiting(MODEL)}/" in worker.said()
    while not await asyncio.to_thread(set_to_start, bootstrap, group, REPLAYS.waiting(MODEL)):
        await live.read()
    await replayed.until_answered(waiting, 120)
    verdict = await replayed.settled(30)
    assert verdict.holds, str(verdict)


async def test_the_audit_judges_replays_by_themselves(stack: Pipeline, live: Watch, replayed: Watch) -> None:
    bootstrap = live.settings.kafka_bootstrap
    nothing = await asyncio.to_thread(stack.command, "audit", "--replays", "--wait", "0")
    assert (nothing.returncode, "nothing to judge on topic replay.contexts" in nothing.stderr) == (1, True), nothing
    for process in (stack.router(), *map(stack.worker, MODELS)):
        process.wait_ready()
    sources: list[Source] = await feed.replay(bootstrap, feed.bodies(40, 10, 10), "judged", first_ms=1_700_000_000_000)
    well = await asyncio.to_thread(stack.command, "audit", "--replays")
    assert (well.returncode, "40 contexts, 40 outcomes" in well.stdout) == (0, True), well
    await replayed.until_answered(sources)
    await write_again(live.settings, replayed.of(REPLAYS.decisions)[-1])
    found = await asyncio.to_thread(stack.command, "audit", "--replays", "--json")
    assert found.returncode == 1
    kinds = [fault["kind"] for each in json.loads(found.stdout)["invariants"] for fault in each["faults"]]
    assert kinds == [TWICE]


async def write_again(settings: Settings, record: Record) -> None:
    """The same record once more, by a producer that is nobody's lane."""
    producer = clients.plain_producer(settings)
    await producer.start()
    await producer.send_and_wait(record.source.topic, record.value, record.key, headers=list(record.headers))
    await clients.stop(producer)
