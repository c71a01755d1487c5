"""A reader behind another one takes what that one leaves, and fails by itself alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from backbone import reader as readers
from backbone import second_reader
from backbone.errors import Fatal
from backbone.lane import Lane
from backbone.progress import Mark
from backbone.second_reader import SecondReader
from backbone.settings import Settings
from schemas.record import Record
from tests.unit.backbone.simulated import GROUP, TOPIC, Stage, Work, put_on, until

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_S", "PAUSE_S", "PAUSE_S_MAX"):
        monkeypatch.setattr(second_reader, name, 0.01)
    monkeypatch.setattr(readers, "LET_BY_EVERY_S", 0.01)


@dataclass
class First:
    """What a second reader sees of the first one."""

    ready: bool = True
    lets: bool = True
    failed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def lets_by(self, *, careful: bool) -> bool:
        return self.lets

    def fail(self, error: BaseException) -> None:
        self.failed.set_exception(error)
        self.failed.exception()


class Fails(Work):
    """Work that fails on one record each time, after it was taken up."""

    on = 1
    second: SecondReader

    async def handle(self, lane: Lane, records: list[Record]) -> None:
        if any(each.source.offset == self.on for each in records):
            self.second.fail(ValueError("a mistake of ours"))
        await super().handle(lane, [each for each in records if each.source.offset != self.on])


def behind(first: First, work: Work) -> SecondReader:
    return SecondReader(Settings(revoke_drain_s=0.05), GROUP, TOPIC, work, first, leave=False)  # type: ignore[arg-type]


async def test_it_begins_when_the_first_is_ready_and_hands_out_what_that_one_lets_by(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, first = Stage(records=3), First(ready=False, lets=False)
    put_on(stage, monkeypatch)
    second = behind(first, work := Work(stage))
    second.start()
    await asyncio.sleep(0.1)
    assert work.lanes == []
    first.ready = True
    await until(lambda: bool(work.lanes), "it has its lane")
    await asyncio.sleep(0.1)
    assert not work.pending_anywhere
    assert stage.broker.committed == (0, ""), "what was not handed out can have ended nobody: no claim is counted"
    first.lets = True
    await until(lambda: sorted(stage.outcomes) == [0, 1, 2], "each has its outcome")
    await second.stop()


async def test_a_record_on_which_it_always_fails_ends_as_undecidable_and_the_first_reader_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, first = Stage(records=3), First()
    put_on(stage, monkeypatch)
    work = Fails(stage)
    work.second = behind(first, work)
    work.second.start()
    await until(lambda: sorted(stage.outcomes) == [0, 1, 2], "each has its outcome", s_max=20)
    assert work.given_up == [1]
    assert not first.failed.done()
    await work.second.stop()


@pytest.mark.parametrize(("dies", "claims"), [(True, 1), (False, 0)])
async def test_what_it_held_as_its_process_died_stays_counted(dies: bool, claims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replayed question that ends the engine fails the first reader, too: it must come to an end all the same."""
    stage, first = Stage(records=1), First()
    put_on(stage, monkeypatch)
    work = Work(stage)
    second, work.hangs = behind(first, work), True
    second.start()
    await until(lambda: work.pending_anywhere, "it is asked")
    if dies:
        first.fail(Fatal("the engine died"))
    await second.stop()
    assert stage.broker.committed is not None
    assert Mark.parse(*stage.broker.committed).claims == claims
