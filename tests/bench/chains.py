"""The chains that are compared: ours, and what does two hops with fewer promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.topic import CONTEXTS, DECISIONS
from tests.bench.ground import Ground
from tests.support.kafka import MODELS
from tests.support.processes import Running

PARTITIONS = 8  # of every topic here, as `contexts` and `decisions` have

READY_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Chain:
    """Two hops from a topic to another. `start` starts its processes; the round's name keeps its groups apart."""

    name: str
    way_in: str
    way_out: str
    start: Callable[[Ground, str], list[Running]]


def _ours(ground: Ground, _: str) -> list[Running]:
    pipeline = ground.pipeline(MODELS)
    started = [pipeline.router(), *(pipeline.worker(model) for model in MODELS)]
    return [each.wait_ready(READY_S_MAX) for each in started]


def _floor(ground: Ground, turn: str) -> list[Running]:
    first = ground.peer("peer_floor", "floor.in", "floor.mid", f"floor.first.{turn}")
    return [first, ground.peer("peer_floor", "floor.mid", "floor.out", f"floor.second.{turn}")]


def _faststream(way: str) -> Callable[[Ground, str], list[Running]]:
    def start(ground: Ground, turn: str) -> list[Running]:
        first = ground.peer("peer_faststream", f"{way}.in", f"{way}.mid", f"{way}.first.{turn}", way)
        return [first, ground.peer("peer_faststream", f"{way}.mid", f"{way}.out", f"{way}.second.{turn}", way)]

    return start


OURS = Chain("ours", CONTEXTS, DECISIONS, _ours)
FLOOR = Chain("floor", "floor.in", "floor.out", _floor)
BATCH = Chain("faststream_batch", "batch.in", "batch.out", _faststream("batch"))
ONE = Chain("faststream_one", "one.in", "one.out", _faststream("one"))
CHAINS = (FLOOR, OURS, BATCH, ONE)


async def prepare(ground: Ground) -> None:
    """Make the peers' topics."""
    names = [f"{way}.{place}" for way in ("floor", "batch", "one") for place in ("in", "mid", "out")]
    await ground.make_topics(*names, partitions=PARTITIONS)
