"""Live contexts are judged before replayed ones, and each side has its own names."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from backbone.lane import Place
from backbone.settings import Settings
from router import intake
from router.intake import LiveIntake, ReplayIntake
from schemas.record import Record
from schemas.result import Result
from tests.unit.deciders.test_judge import world
from tests.unit.samples import body, record, replayed

pytestmark = pytest.mark.unit


@dataclass(eq=False)
class Lane:
    """What an intake sees of a lane: where it is; it takes the results."""

    topic: str
    order: list[str]
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.place = Place("group", self.topic, 3)

    def finish(self, result: Result) -> None:
        self.order.append(result.outputs[0].topic)


class Fleet:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told = 0

    def sent(self, result: Result) -> None:
        self.told += 1


def at(offset: int, came: Record) -> Record:
    return replace(came, source=replace(came.source, offset=offset))


def live(count: int) -> list[Record]:
    return [at(n, record(body(context_id=f"c{n}"))) for n in range(count)]


def replays(count: int) -> list[Record]:
    return [at(n, replayed(body(context_id=f"c{n}"))) for n in range(count)]


async def test_a_replayed_context_is_judged_while_no_live_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SLICE_S", 0.0)  # a turn of the loop for others after each live one
    fleet, order = Fleet(), list[str]()
    first = LiveIntake(Settings(), world, fleet, SimpleNamespace())  # type: ignore[arg-type]
    second = ReplayIntake(Settings(), world, first.quiet)
    lanes = Lane("contexts", order), Lane("replay.contexts", order)
    for each, lane in zip((first, second), lanes, strict=True):
        each._dedupe[lane.place.partition] = each._new_dedupe()
    behind = asyncio.create_task(second.handle(lanes[1], replays(30)))  # type: ignore[arg-type]
    for _ in range(10):
        await asyncio.sleep(0)  # it judges one a turn
    await first.handle(lanes[0], live(50))  # type: ignore[arg-type]
    begun = order.index("decisions")  # they are over, by the clock of today
    assert order[begun : begun + 50] == ["decisions"] * 50, "none came between"
    await behind
    assert order.count("replay.contexts.deepseek") == 30, "the same ids, and none of them a repeat of a live one"
    assert fleet.told == 50, "no replay counts as a question that waits"
