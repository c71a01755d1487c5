"""The outcomes as they stand in the log: read whole, as committed, up to where the log ended when the reading began."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from backbone import clients
from backbone.errors import Fatal, Transient
from backbone.history import read_back
from backbone.settings import Settings
from backbone.topics import plan
from schemas.record import Record
from schemas.topic import DEAD_LETTERS, DECISIONS

OUTCOME_TOPICS = (DECISIONS, DEAD_LETTERS)
Ends = Mapping[tuple[str, int], int]


async def ends(settings: Settings, topics: Sequence[str] = OUTCOME_TOPICS) -> Ends:
    """Where each partition of these topics ends now, for readers of committed records. Raises Fatal where Kafka is away."""
    counts = {each.name: each.partitions for each in plan(settings.catalogue_names)}
    places = [clients.TopicPartition(topic, p) for topic in topics for p in range(counts[topic])]
    consumer = clients.reader(settings)
    try:
        await consumer.start()
        found = await consumer.end_offsets(places)
    except clients.KafkaError as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error
    finally:
        await clients.stop(consumer)
    return {(place.topic, place.partition): end for place, end in found.items()}


async def read(settings: Settings, since: Ends | None = None, topics: Sequence[str] = OUTCOME_TOPICS) -> AsyncIterator[Record]:
    """Every record of these topics from `since` (default: their beginning) to their end as it is now. Raises Fatal."""
    for (topic, partition), end in (await ends(settings, topics)).items():
        first = (since or {}).get((topic, partition), 0)
        if first >= end:
            continue
        try:
            async for records in read_back(settings, topic, partition, first, end):
                for record in records:
                    yield record
        except Transient as error:
            raise Fatal(f"broker at {settings.kafka_bootstrap}: {error}") from error
