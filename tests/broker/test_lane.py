"""A lane on real Kafka: it never stalls on markers, keeps each key's order, ends what is late, and obeys a halt."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backbone import clients
from backbone.settings import Settings
from schemas.decision import Decision
from schemas.headers import SRC, header_text
from schemas.source import Source
from schemas.topic import CONTEXTS, CONTROL, DECISIONS, model_topic
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.transactions import write_each
from tests.support.watch import Watch, watching

pytestmark = pytest.mark.broker

MODELS = ("deepseek", "phi3")
TRANSACTIONS = 10_100
WRITERS = 10
HALT_S_MAX = 1.0


@pytest.fixture
def stack(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS)
    yield made
    made.close()


def script(**fields: object) -> dict[str, str]:
    return {"TRADING_LLM_SCRIPT": json.dumps(fields)}


def body(name: str, symbol: str = "S/USD", **fields: object) -> feed.Body:
    context = {"price": 100, "volume": 5}
    return {"context": context, "bot_id": "b", "symbol": symbol, "context_id": name, "model_preference": "phi3"} | fields


async def send(broker: Broker, key: bytes, *bodies: feed.Body) -> list[Source]:
    """These contexts, in this order, under one key."""
    producer = clients.plain_producer(Settings(kafka_bootstrap=broker.bootstrap))
    await producer.start()
    try:
        sent = [await producer.send_and_wait(CONTEXTS, key=key, value=feed.value_of(each)) for each in bodies]
        return [Source(each.topic, each.partition, each.offset) for each in sent]
    finally:
        await clients.stop(producer)


def decisions(watch: Watch) -> dict[str, Decision]:
    return {each.context_id: each for each in (Decision.from_bytes(record.value) for record in watch.of(DECISIONS))}


async def transactions(broker: Broker, topic: str) -> int:
    """How many were written to it: what its offsets count and no record lies at is a marker each."""
    consumer = clients.reader(Settings(kafka_bootstrap=broker.bootstrap), auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [clients.TopicPartition(topic, each) for each in range(8)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        records = 0
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            records += sum(map(len, (await consumer.getmany(timeout_ms=500)).values()))
        return int(sum(ends.values())) - records
    finally:
        await clients.stop(consumer)


async def test_a_crowded_engines_answers_share_transactions_and_a_single_one_waits_for_none(
    stack: Pipeline, fresh_topics: Broker
) -> None:
    for process in (stack.router(), stack.worker("phi3", env=script(delay_ms=50, spread_ms=100))):
        process.wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        crowd = [body(f"crowd-{n}", f"S{n}/USD", ttl_ms=600_000) for n in range(400)]
        await watch.until_answered(await feed.send(fresh_topics.bootstrap, crowd))
        shared = await transactions(fresh_topics, DECISIONS)
        # Eight lanes write at most ten times a second each, which is fewer than answers; with one each there would be 400.
        assert shared < 400 / 3, f"400 answers in {shared} transactions"
        for n in range(8):
            await watch.until_answered(await feed.send(fresh_topics.bootstrap, [body(f"alone-{n}")]))
        assert await transactions(fresh_topics, DECISIONS) == shared + 8
        verdict = await watch.settled(30)
        assert verdict.holds, str(verdict)


def marked(writer: int, count: int) -> list[tuple[bytes, bytes]]:
    """So many contexts of one writer, which are over at once."""
    return [(f"k{writer}".encode(), feed.value_of(body(f"marked-{writer}-{number}", ttl_ms=1))) for number in range(count)]


@pytest.mark.long  # over a minute; `make test` plants that very mistake, in a quarter of the transactions
async def test_a_lane_over_ten_thousand_one_record_transactions_never_stalls(stack: Pipeline, fresh_topics: Broker) -> None:
    router = stack.router().wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        writers = [
            write_each(fresh_topics.bootstrap, f"marked-{n}", marked(n, TRANSACTIONS // WRITERS), 0) for n in range(WRITERS)
        ]
        sources = [source for each in await asyncio.gather(*writers) for source in each]
        await watch.until_answered(sources, 120)
        verdict = await watch.settled(30)
        assert verdict.holds, str(verdict)
        assert verdict.contexts >= TRANSACTIONS
        mark = (await watch.marks())[CONTEXTS, 0]
        # The last transactions of all writers may overlap: behind the last record lie as many markers.
        assert mark.offset >= 2 * TRANSACTIONS - WRITERS, "a record and a marker each"
    assert "lane.lost" not in router.log.read_text()


async def test_a_result_waits_for_its_keys_earlier_record_until_its_own_time_is_over(
    stack: Pipeline, fresh_topics: Broker
) -> None:
    hung_s = 4
    stack.router().wait_ready()
    worker = stack.worker("phi3", env=script(faults={"hang": "HANG/"}) | {"TRADING_LLM_HUNG_S": str(hung_s)})
    worker.wait_ready()
    stack.worker("deepseek").wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        bodies = (body("slow", "HANG/USD"), body("waits"), body("hurries", ttl_ms=1_500), body("waits too"))
        sources = await send(fresh_topics, b"one-key", *bodies)
        other = await send(fresh_topics, b"other-key", body("another key"))
        await watch.until_answered([*sources, *other])
        order = [Decision.from_bytes(record.value).context_id for record in watch.of(DECISIONS) if record.key == b"one-key"]
        assert order[0] == "hurries"
        assert order.index("waits") < order.index("waits too")
        made = decisions(watch)
        assert made["hurries"].status == "EXPIRED"
        assert made["waits"].status != "EXPIRED" and made["waits too"].status != "EXPIRED"
        logged = {Decision.from_bytes(r.value).context_id: r.timestamp_ms for r in watch.of(DECISIONS)}
        assert logged["another key"] < logged["waits"], "between keys nothing waits"
        hop = next(r for r in watch.of(model_topic("deepseek")) if header_text(r.headers, SRC) == str(sources[0]))
        # One transaction may write both, each at its own log time; without the wait it would be out hung_s earlier.
        assert hop.timestamp_ms - logged["waits"] < hung_s * 1000 / 2
        verdict = await watch.settled(20)
        assert verdict.holds, str(verdict)


async def test_an_answer_that_comes_too_late_is_expired(stack: Pipeline, fresh_topics: Broker) -> None:
    for process in (stack.router(), stack.worker("phi3", env=script(delay_ms=1_500))):
        process.wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        sources = await send(fresh_topics, b"late", *(body(f"late-{n}", ttl_ms=700) for n in range(10)))
        await watch.until_answered(sources)
        assert {decisions(watch)[f"late-{n}"].status for n in range(10)} == {"EXPIRED"}
        verdict = await watch.settled(20)
        assert verdict.holds, str(verdict)


async def test_a_halt_stops_what_acts_within_a_second_and_a_tombstone_resumes(stack: Pipeline, fresh_topics: Broker) -> None:
    for process in (stack.router(), stack.worker("phi3", env=script(delay_ms=20))):
        process.wait_ready()
    producer = clients.plain_producer(Settings(kafka_bootstrap=fresh_topics.bootstrap))
    await producer.start()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        sources: list[Source] = []

        async def phase(label: str, count: int) -> None:
            bodies = [body(f"{label}-{n}", f"H{n % 7}/{label}") for n in range(count)]
            for first in range(0, count, 10):
                sources.extend(await feed.send(fresh_topics.bootstrap, bodies[first : first + 10], producer))
                await asyncio.sleep(0.05)

        await phase("before", 100)
        value = json.dumps({"mode": "full", "why": "the exchange is down"}).encode()
        halted = await producer.send_and_wait(CONTROL, key=b"halt/all", value=value)
        await phase("during", 400)
        await watch.until_answered(sources)
        resumed = await producer.send_and_wait(CONTROL, key=b"halt/all", value=None)
        await phase("after", 100)
        await watch.until_answered(sources)
    await clients.stop(producer)
    read = [(record.timestamp_ms, Decision.from_bytes(record.value)) for record in watch.of(DECISIONS)]
    acts_ms = [at_ms for at_ms, decision in read if decision.acts]
    until_ms = halted.timestamp + HALT_S_MAX * 1000
    assert [at_ms for at_ms in acts_ms if until_ms < at_ms < resumed.timestamp] == []
    assert [at_ms for at_ms in acts_ms if at_ms < halted.timestamp], "nothing acted before: the test proves nothing"
    assert [at_ms for at_ms in acts_ms if at_ms > resumed.timestamp], "nothing acts any more"
    reasons = [decision.reason for _, decision in read if decision.status == "HALTED"]
    assert len(reasons) > 100 and all("the exchange is down" in (reason or "") for reason in reasons)


async def test_a_worker_that_is_told_to_end_finishes_what_it_holds_and_another_goes_on(
    stack: Pipeline, fresh_topics: Broker
) -> None:
    stack.router().wait_ready()
    slow = script(delay_ms=300)
    leaving, staying = (stack.worker("phi3", ordinal, slow).wait_ready() for ordinal in range(2))
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        sources = await feed.send(fresh_topics.bootstrap, [body(f"drain-{n}", f"D{n}/USD", ttl_ms=600_000) for n in range(200)])
        await watch.until(lambda: bool({*sources} & watch.answered), "the first answers")
        leaving.stop()
        assert "worker.stopped" in leaving.log.read_text()
        await watch.until_answered(sources)
        verdict = await watch.settled(20)
        assert verdict.holds, str(verdict)
        assert [mark.claims for place, mark in (await watch.marks()).items() if place[0] == model_topic("phi3")] == [0] * 4
    assert "lane.careful" not in staying.log.read_text(), "an end in peace makes nobody suspect"


async def test_the_same_contexts_come_to_the_same_decisions_twice(
    broker: Broker, redis_server: RedisServer, tmp_path: Path
) -> None:
    as_of = int(time.time() * 1000)
    bodies = [each | {"as_of": as_of} for each in feed.bodies(300, 20, seed=9, models=MODELS, label="twice")]
    for n, each in enumerate(bodies):
        each["context"] |= {"volatility": n % 10 / 10, "sentiment": n % 7 / 7, "has_position": n % 2 == 0, "volume_ratio": n % 3}
        if n % 3:
            del each["model_preference"]
    runs = [await one_run(broker, redis_server, tmp_path / str(n), bodies) for n in range(2)]
    assert len(runs[0]) == 300
    assert runs[0] == runs[1]


async def one_run(broker: Broker, redis_server: RedisServer, folder: Path, bodies: list[feed.Body]) -> dict[str, object]:
    """What each context came to, without what a run may differ in: places, times and durations."""
    await asyncio.to_thread(broker.wipe)
    await asyncio.to_thread(broker.apply_topics)
    made = Pipeline(broker, redis_server, folder, models=MODELS)
    try:
        for process in (made.router(), *(made.worker(model) for model in MODELS)):
            process.wait_ready()
        async with watching(broker.bootstrap, MODELS) as watch:
            await watch.until_answered(await feed.send(broker.bootstrap, bodies))
            differing = {"as_of", "decided_at", "valid_until", "timings_ms"}
            made_of = {each.context_id: each.model_dump(exclude=differing) for each in decisions(watch).values()}
    finally:
        made.close()
    for each in made_of.values():
        for attempt in each["route"]["attempts"]:
            attempt.pop("ms")
        for candidate in each["route"]["candidates"]:
            candidate.pop("expected_wait_ms")
    return dict(made_of)
