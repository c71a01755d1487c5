"""The outcomes as they stand in the log: read whole, as committed, up to where the log ended when the reading began."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from backbone import clients
from backbone.errors import Fatal, Transient
from backbone.history import read_back
from backbone.settings import Settings
from backbone.topics import plan
from schemas.record import Record
from schemas.topic import DEAD_LETTERS, DECISIONS

OUTCOME_TOPICS = (DECISIONS, DEAD_LETTERS)
Ends = Mapping[tuple[str, int], int]


async def ends(settings: Settings, topics: Sequence[str] = OUTCOME_TOPICS) -> dict[tuple[str, int], int]:
    """Where each partition of these topics ends now, for readers of committed records. Raises Fatal where Kafka is away."""
    async with _asking(settings) as consumer:
        found = await consumer.end_offsets(_places(settings, topics))
    return {(place.topic, place.partition): end for place, end in found.items()}


async def begins(settings: Settings, topics: Sequence[str], since_ms: int) -> dict[tuple[str, int], int]:
    """The first record of each partition that the log took at this moment or later, else its end. Raises Fatal."""
    places = _places(settings, topics)
    async with _asking(settings) as consumer:
        found = await consumer.offsets_for_times(dict.fromkeys(places, max(0, since_ms)))
        after = await consumer.end_offsets(places)
    return {(each.topic, each.partition): found[each].offset if found[each] else after[each] for each in places}


@asynccontextmanager
async def _asking(settings: Settings) -> AsyncIterator[clients.AIOKafkaConsumer]:
    consumer = clients.reader(settings)
    try:
        await consumer.start()
        yield consumer
    except clients.KafkaError as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error
    finally:
        await clients.stop(consumer)


def _places(settings: Settings, topics: Sequence[str]) -> list[clients.TopicPartition]:
    counts = {each.name: each.partitions for each in plan(settings.catalogue_names)}
    return [clients.TopicPartition(topic, p) for topic in topics for p in range(counts[topic])]


async def read(
    settings: Settings, since: Ends | None = None, topics: Sequence[str] = OUTCOME_TOPICS, until: Ends | None = None
) -> AsyncIterator[Record]:
    """Every record of these topics from `since` (default: their beginning) up to `until` (default: their end as it is now).

    Raises Fatal.
    """
    for (topic, partition), end in (until or await ends(settings, topics)).items():
        first = (since or {}).get((topic, partition), 0)
        if first >= end:
            continue
        try:
            async for records in read_back(settings, topic, partition, first, end):
                for record in records:
                    yield record
        except Transient as error:
            raise Fatal(f"broker at {settings.kafka_bootstrap}: {error}") from error
