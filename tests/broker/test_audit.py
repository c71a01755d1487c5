"""`trading-llm audit` on a running pipeline: it holds while all is well, waits for what is in flight, and finds what is not."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from backbone import clients
from backbone.settings import Settings
from deploy.local.kafka_node import REPOSITORY
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DECISIONS, model_topic
from tests.broker.bad_input import all_cases
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching
from trading_llm.fault import LOST, MARK_AHEAD, OPEN, TWICE, UNFINISHED, WAITING

pytestmark = pytest.mark.broker

MODEL = "phi3"
RUN_S_MAX = 120
TO_THE_END = -1  # how Kafka calls all of a log


@pytest.fixture
def pipeline(own_broker: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(own_broker, fresh_redis, tmp_path / "processes", models=(MODEL,))
    yield made
    made.close()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "trading_llm", "audit", *arguments]


def environment(pipeline: Pipeline) -> dict[str, str]:
    return {**os.environ, **pipeline.environment, "STATE_DIR": pipeline.environment["TRADING_LLM_STATE_DIR"]}


def audit(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(pipeline), capture_output=True, text=True, timeout=RUN_S_MAX, check=False,
        cwd=REPOSITORY,
    )  # fmt: skip


def kinds(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Every kind of fault that it found, with the examples."""
    found: dict[str, Any] = json.loads(done.stdout)
    return {fault["kind"]: fault["examples"] for each in found["invariants"] for fault in each["faults"]}


async def send_good_and_bad(broker: Broker) -> list[Source]:
    """Every wrong thing that a bot can send, and sound contexts after it."""
    settings = Settings(kafka_bootstrap=broker.bootstrap)
    producer = clients.AIOKafkaProducer(**clients.connection(settings), max_request_size=64 << 20, compression_type="gzip")
    await producer.start()
    sources = []
    try:
        for case in all_cases(int(time.time() * 1000)).values():
            at = await producer.send_and_wait(CONTEXTS, value=case.value, key=case.key, headers=list(case.headers))
            sources.append(Source(at.topic, at.partition, at.offset))
    finally:
        await clients.stop(producer)
    return sources + await feed.send(broker.bootstrap, feed.bodies(100, 10, seed=1))


async def written_on(broker: Broker, topic: str, sources: list[Source]) -> tuple[Record, ...]:
    """What lies on this topic once each of these contexts has its outcome."""
    async with watching(broker.bootstrap, (MODEL,)) as watch:
        await watch.until_answered(sources)
        return watch.of(topic)


async def write_again(broker: Broker, record: Record) -> None:
    """The same record once more, by a producer that is nobody's lane."""
    producer = clients.plain_producer(Settings(kafka_bootstrap=broker.bootstrap))
    await producer.start()
    try:
        await producer.send_and_wait(record.source.topic, record.value, record.key, headers=list(record.headers))
    finally:
        await clients.stop(producer)


async def test_it_holds_of_good_and_bad_contexts_until_a_decision_is_there_twice(pipeline: Pipeline, own_broker: Broker) -> None:
    nothing = await asyncio.to_thread(audit, pipeline, "--wait", "0")
    assert (nothing.returncode, "nothing to judge" in nothing.stderr) == (1, True), nothing
    for process in (pipeline.router(), pipeline.worker(MODEL)):
        process.wait_ready()
    sources = await send_good_and_bad(own_broker)
    well = await asyncio.to_thread(audit, pipeline)
    assert well.returncode == 0, well
    assert [line.rpartition(": ")[2] for line in well.stdout.splitlines()[:-1]] == ["holds"] * 8
    assert f"{len(sources)} contexts, {len(sources)} outcomes" in well.stdout

    twice = (await written_on(own_broker, DECISIONS, sources))[-1]
    await write_again(own_broker, twice)
    found = await asyncio.to_thread(audit, pipeline, "--json")
    assert found.returncode == 1
    (example,) = kinds(found)[TWICE]
    assert dict(twice.headers)["src"].decode() in example and str(twice.source) in example
    shown = await asyncio.to_thread(audit, pipeline)
    assert shown.returncode == 1
    assert f"{TWICE} (1): {example}" in shown.stdout


async def test_while_contexts_keep_coming_none_in_flight_is_blamed(pipeline: Pipeline, own_broker: Broker) -> None:
    slow = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 200, "faults": {}})}
    for process in (pipeline.router(), pipeline.worker(MODEL, env=slow)):
        process.wait_ready()
    bodies = iter(feed.bodies(20_000, 40, seed=2))
    await feed.send(own_broker.bootstrap, [next(bodies) for _ in range(50)])
    auditing = await asyncio.create_subprocess_exec(
        *command("--json"), env=environment(pipeline), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    sent = 50
    async with asyncio.timeout(RUN_S_MAX):
        while auditing.returncode is None:
            sent += len(await feed.send(own_broker.bootstrap, [next(bodies) for _ in range(10)]))
            await asyncio.sleep(0.05)
    output, errors = await auditing.communicate()
    found = json.loads(output)
    assert auditing.returncode == 0, (found, errors)
    assert 50 <= found["contexts"] < sent, "nothing was sent while it judged: this proves nothing"
    assert found["later"] > 0, "nothing came of it while it judged: this proves nothing"


async def test_what_waits_for_a_worker_that_is_not_there_is_waiting_and_not_lost(pipeline: Pipeline, own_broker: Broker) -> None:
    pipeline.router().wait_ready()
    sources = await feed.send(own_broker.bootstrap, feed.bodies(20, 5, seed=3, ttl_ms=600_000))
    found = kinds(await asyncio.to_thread(audit, pipeline, "--wait", "3", "--json"))
    assert found.keys() == {WAITING, UNFINISHED}
    assert {each.split(" in ")[0] for each in found[WAITING]} == set(map(str, sources))
    assert all(f" in {model_topic(MODEL)}/" in each for each in found[WAITING])
    pipeline.worker(MODEL).wait_ready()
    assert (await asyncio.to_thread(audit, pipeline)).returncode == 0


async def test_what_a_mark_passed_over_is_lost(pipeline: Pipeline, own_broker: Broker) -> None:
    (lost,) = await feed.send(own_broker.bootstrap, feed.bodies(1, 1, seed=4))
    settings = Settings(kafka_bootstrap=own_broker.bootstrap)
    consumer = clients.AIOKafkaConsumer(**clients.connection(settings), group_id="router", enable_auto_commit=False)
    await consumer.start()
    place = clients.TopicPartition(lost.topic, lost.partition)
    consumer.assign([place])
    await consumer.commit({place: lost.offset + 1})
    await clients.stop(consumer)
    found = kinds(await asyncio.to_thread(audit, pipeline, "--wait", "0", "--json"))
    assert found.keys() == {LOST, MARK_AHEAD}
    assert found[LOST] == [str(lost)]


async def test_a_transaction_that_stays_open_is_named(pipeline: Pipeline, own_broker: Broker) -> None:
    await feed.send(own_broker.bootstrap, feed.bodies(1, 1, seed=5))
    connection = clients.connection(Settings(kafka_bootstrap=own_broker.bootstrap))
    producer = clients.AIOKafkaProducer(**connection, transactional_id="somebody", transaction_timeout_ms=60_000)
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(DECISIONS, b"{}", partition=3)
    found = kinds(await asyncio.to_thread(audit, pipeline, "--wait", "0", "--json"))
    await producer.abort_transaction()
    await clients.stop(producer)
    assert found[OPEN] == [f"{DECISIONS}/3"]


async def test_a_log_whose_beginning_was_deleted_is_judged_from_there(pipeline: Pipeline, own_broker: Broker) -> None:
    for process in (pipeline.router(), pipeline.worker(MODEL)):
        process.wait_ready()
    sources = await feed.send(own_broker.bootstrap, feed.bodies(60, 20, seed=6))
    hops = await written_on(own_broker, model_topic(MODEL), sources)
    middle = {p: sorted(each.offset for each in sources if each.partition == p) for p in range(8)}
    deleted = sum(len(offsets) // 2 for offsets in middle.values())
    await asyncio.to_thread(delete, own_broker, CONTEXTS, {p: offs[len(offs) // 2] for p, offs in middle.items() if offs})
    found = await asyncio.to_thread(audit, pipeline, "--json")
    assert found.returncode == 0, found
    assert json.loads(found.stdout)["contexts"] == 60 - deleted < 60

    last = {each.source.partition: each.source.offset for each in hops}
    await asyncio.to_thread(delete, own_broker, model_topic(MODEL), last)
    unsent = await asyncio.to_thread(audit, pipeline)
    assert unsent.returncode == 0, f"an answer is not blamed for a hop that was deleted: {unsent}"

    await asyncio.to_thread(delete, own_broker, DECISIONS, dict.fromkeys(range(8), TO_THE_END))
    nothing = await asyncio.to_thread(audit, pipeline, "--wait", "0", "--json")
    assert (nothing.returncode, "nothing to judge" in nothing.stderr) == (1, True), nothing
    assert json.loads(nothing.stdout)["gone"] == 60 - deleted


def delete(broker: Broker, topic: str, below: dict[int, int]) -> None:
    """Delete what lies below these offsets, as retention would."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for done in admin.delete_records([TopicPartition(topic, p, offset) for p, offset in below.items()]).values():
        done.result(30)
