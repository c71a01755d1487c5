"""The transactional producer: what it wrote is there whole, in order, once it said so; and nobody writes beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka.errors import KafkaError, ProducerFenced

from backbone.clients import TopicPartition
from backbone.history import read_back
from backbone.producer import BATCH_BYTES_MAX, TransactionalProducer
from backbone.progress import Mark
from backbone.protocol import committed
from backbone.settings import Settings
from schemas.record import Output, Record
from schemas.topic import CONTEXTS, DECISIONS, model_topic
from tests.support.kafka import Broker

pytestmark = pytest.mark.broker

AT = TopicPartition(CONTEXTS, 0)
MARK = Mark(7, frozenset({9}))
Claim = Callable[[str], Awaitable[TransactionalProducer]]


@pytest.fixture
async def claim(fresh_topics: Broker) -> AsyncIterator[Claim]:
    """Starts producers, and closes them at the test's end."""
    made: list[TransactionalProducer] = []

    async def start(transactional_id: str) -> TransactionalProducer:
        made.append(TransactionalProducer(Settings(kafka_bootstrap=fresh_topics.bootstrap), transactional_id))
        await made[-1].start()
        return made[-1]

    yield start
    for each in made:
        await each.close()


def output(number: int, topic: str = DECISIONS, size: int = 10) -> Output:
    return Output(topic, b"one key", b"%d " % number + b"x" * size, (("src", b"contexts/0/1"),))


async def written(broker: Broker, topic: str, partitions: int) -> list[Record]:
    """All committed records of a topic."""
    settings = Settings(kafka_bootstrap=broker.bootstrap)
    found: list[Record] = []
    for partition in range(partitions):
        async for records in read_back(settings, topic, partition, 0, await end_of(settings, topic, partition)):
            found += records
    return found


async def end_of(settings: Settings, topic: str, partition: int) -> int:
    from backbone import clients

    consumer = clients.reader(settings)
    await consumer.start()
    try:
        return int((await consumer.end_offsets([TopicPartition(topic, partition)]))[TopicPartition(topic, partition)])
    finally:
        await clients.stop(consumer)


async def test_a_transaction_larger_than_a_batch_is_written_whole_and_in_order(claim: Claim, fresh_topics: Broker) -> None:
    producer = await claim("large")
    count = 5 * BATCH_BYTES_MAX // 50_000
    log_ms = await producer.produce(output(n, size=50_000) for n in range(count))
    await producer.end(commit=True)
    records = await written(fresh_topics, DECISIONS, 8)
    assert [int(each.value.split()[0]) for each in records] == list(range(count))
    assert {each.source.partition for each in records} == {records[0].source.partition}
    assert max(each.timestamp_ms for each in records) == log_ms


async def test_outputs_and_offset_come_together_or_not_at_all(claim: Claim, fresh_topics: Broker) -> None:
    topic = model_topic("qwen")
    producer = await claim("together")
    await producer.produce([output(1, topic)])
    await producer.commit_offset("together", AT, MARK.offset, MARK.metadata())
    await producer.end(commit=False)
    assert await written(fresh_topics, topic, 4) == []
    assert (await committed(producer.client, "together", CONTEXTS, 0))[0] == -1
    await producer.produce([output(2, topic)])
    await producer.commit_offset("together", AT, MARK.offset, MARK.metadata())
    await producer.end(commit=True)
    assert [each.value.split()[0] for each in await written(fresh_topics, topic, 4)] == [b"2"]
    assert Mark.parse(*await committed(producer.client, "together", CONTEXTS, 0)) == MARK


async def test_hundreds_in_a_row_wait_for_each_others_markers(claim: Claim, fresh_topics: Broker) -> None:
    topic = model_topic("phi3")
    producer = await claim("row")
    for number in range(200):
        await producer.produce([output(number, topic)])
        await producer.commit_offset("row", AT, number, "")
        await producer.end(commit=True)
    assert [int(each.value.split()[0]) for each in await written(fresh_topics, topic, 4)] == list(range(200))


@pytest.mark.parametrize("step", ["produce", "commit_offset", "end"])
async def test_a_producer_whose_id_was_claimed_can_do_nothing_more(claim: Claim, fresh_topics: Broker, step: str) -> None:
    topic, name = model_topic("fingpt"), f"fenced-{step}"
    first = await claim(name)
    if step != "produce":
        await first.produce([output(1, topic)])
    await claim(name)
    with pytest.raises(KafkaError) as raised:
        if step == "produce":
            await first.produce([output(1, topic)])
        elif step == "commit_offset":
            await first.commit_offset(name, AT, 5, "")
        else:
            await first.end(commit=True)
    assert isinstance(raised.value, ProducerFenced)
    assert await written(fresh_topics, topic, 4) == []


async def test_a_record_without_key_or_value_is_written_as_it_is(claim: Claim, fresh_topics: Broker) -> None:
    topic = model_topic("deepseek")
    producer = await claim("bare")
    await producer.produce([Output(topic, None, b"", (), tombstone=True), Output(topic, b"", b"", ())])
    await producer.end(commit=True)
    found = {(each.key, each.value, each.tombstone) for each in await written(fresh_topics, topic, 4)}
    assert found == {(None, b"", True), (b"", b"", False)}
