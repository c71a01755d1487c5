"""A lane of a group that this process is no member of, claimed for as long as nobody claims it back.

The claim is the lane's own (`Lane.claim`), under the same transactional id: membership is no fence, so none is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from backbone import clients
from backbone.errors import Doubt, Fatal
from backbone.lane import Lane, Place
from backbone.progress import Mark
from backbone.protocol import NO_OFFSET, committed
from backbone.settings import Settings
from backbone.transaction import LOST

# Who takes over and is fenced leaves the lane alone for so long: the owner, who claims again after a second, is back, and two
# that both claim at once are a livelock. A minute is long beside any claim, and short beside a model's death.
FENCED_PAUSE_S = 60.0
# Two requests. An owner that died inside a transaction keeps the offset pending for 6 s; the claim's fence ends that at once.
LOOK_S_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many offsets of a lane have no outcome (markers among them), and how often it was claimed without progress."""

    offsets: int
    claims: int


async def backlog_of(consumer: AIOKafkaConsumer, place: Place) -> Backlog | None:
    """What waits in a lane, by its committed mark, changing nothing; None where that cannot be known within a second.

    Fatal where nothing is committed, or by somebody else.
    """
    partition = TopicPartition(place.topic, place.partition)
    try:
        async with asyncio.timeout(LOOK_S_MAX):
            offset, metadata = await committed(consumer._client, place.group, place.topic, place.partition)
            end = (await consumer.end_offsets([partition]))[partition]
            if offset == NO_OFFSET:
                raise Fatal(f"group {place.group} has no offset on {place}")
            mark = Mark.parse(offset, metadata)
    except LOST:
        return None
    except ValueError as error:
        raise Fatal(f"{place}: {error}: somebody else commits for group {place.group}") from error
    return Backlog(end - mark.offset - sum(each < end for each in mark.ahead), mark.claims)


@asynccontextmanager
async def taken_over(settings: Settings, place: Place) -> AsyncIterator[tuple[Lane, Mark]]:
    """The lane, claimed, and where it stands; given up at the end of the block.

    Raises Doubt, also for whatever a client raises inside: Fenced where somebody claimed the lane, its owner most likely; and
    Transient and Fatal as a claim does. Who takes over does not count as a claim: it asks no engine, and has read these bytes
    before, so a record that kills its askers does not kill it; and a count would bring that record's next owner under suspicion.
    """
    consumer = clients.reader(settings)
    lane = Lane(place, consumer, settings, count_claim=False)
    try:
        consumer.assign([TopicPartition(place.topic, place.partition)])
        async with asyncio.timeout(settings.request_timeout_s):
            await consumer.start()
        yield lane, await lane.claim()
    except LOST as error:
        raise Doubt(f"takeover of {place}: {error!r}") from error
    finally:
        await lane.close()
        await clients.stop(consumer)
