"""How far each lane topic is behind: records without an outcome yet, and how long the oldest of them has waited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from backbone import clients
from backbone.errors import Fatal, Transient
from backbone.progress import Mark
from backbone.protocol import NO_OFFSET, committed
from backbone.settings import Settings
from backbone.topics import Planned, plan
from schemas.topic import is_replay

LOOK_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Lag:
    """One topic. `lag` counts offsets, transaction markers included: an idle lane commits past them within seconds."""

    name: str
    lag: int
    oldest_s: float | None


async def lags(settings: Settings, now_ms: int) -> list[Lag]:
    """Every live topic that is read in lanes. Raises Fatal where the broker is away."""
    planned = [each for each in plan(settings.catalogue_names) if each.group and not is_replay(each.name)]
    look = _Look(clients.reader(settings, auto_offset_reset="earliest"), now_ms)
    try:
        async with asyncio.timeout(LOOK_S_MAX):
            await look.consumer.start()
            groups = await clients.bare_client(settings)
            try:
                return [await _lag(look, groups, each) for each in planned]
            finally:
                await groups.close()
    except (clients.KafkaError, Transient, TimeoutError) as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up, with its topics?") from error
    finally:
        await clients.stop(look.consumer)


@dataclass(frozen=True, slots=True)
class _Look:
    consumer: clients.AIOKafkaConsumer
    now_ms: int


async def _lag(look: _Look, groups: clients.AIOKafkaClient, planned: Planned) -> Lag:
    places = [clients.TopicPartition(planned.name, p) for p in range(planned.partitions)]
    ends = await look.consumer.end_offsets(places)
    behind: dict[clients.TopicPartition, int] = {}
    lag = 0
    for place in places:
        mark = await _mark(groups, str(planned.group), place)
        open_offsets = ends[place] - mark.offset - sum(offset < ends[place] for offset in mark.ahead)
        if open_offsets > 0:
            behind[place] = mark.offset
            lag += open_offsets
    return Lag(planned.name, lag, await _oldest_s(look, behind))


async def _mark(groups: clients.AIOKafkaClient, group: str, place: clients.TopicPartition) -> Mark:
    offset, metadata = await committed(groups, group, place.topic, place.partition)
    return Mark(0) if offset == NO_OFFSET else Mark.parse(offset, metadata)


async def _oldest_s(look: _Look, behind: dict[clients.TopicPartition, int]) -> float | None:
    """The age of the oldest first unfinished record; None where what is behind holds no record, only markers."""
    if not behind:
        return None
    look.consumer.assign(list(behind))
    for place, offset in behind.items():
        look.consumer.seek(place, offset)
    ages = [await _age_s(look, place) for place in behind]
    return max((age for age in ages if age is not None), default=None)


async def _age_s(look: _Look, place: clients.TopicPartition) -> float | None:
    read = await look.consumer.getmany(place, timeout_ms=100, max_records=1)
    return next(((max(0, look.now_ms - record.timestamp) / 1000) for record in read.get(place, ())), None)


def as_json(found: Sequence[Lag]) -> list[dict[str, object]]:
    """The `topics` of `GET /status` and of `status --json`."""
    return [{"name": each.name, "lag": each.lag, "oldest_s": each.oldest_s} for each in found]
