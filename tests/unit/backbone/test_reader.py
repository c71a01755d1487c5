"""A reader's lanes when something fails as they are given back, claimed or written: each record still has one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, NotCoordinatorForGroupError, NotLeaderForPartitionError

from backbone import reader as readers
from backbone.errors import Doubt, Fatal
from backbone.progress import Mark
from schemas.record import Output
from schemas.result import Result
from tests.unit.backbone.simulated import PARTITION, PAUSE_S, Stage, reader_on, until

pytestmark = pytest.mark.unit

FAILURES: dict[str, Callable[[], KafkaError]] = {
    "produce": lambda: NotLeaderForPartitionError("one of its partitions has another leader now"),
    "offset": lambda: NotCoordinatorForGroupError("its broker is restarting"),
    "end": lambda: KafkaConnectionError("not applied, and nobody knows"),
}


def once_then_fail(stage: Stage, step: str, after_s: float) -> None:
    """The next time it comes to this step with outputs, it fails after so long."""

    async def fail() -> None:
        del stage.before[step]
        await asyncio.sleep(after_s)
        raise FAILURES[step]()

    stage.before[step] = fail


@pytest.mark.parametrize("step", FAILURES)
@pytest.mark.parametrize("drain_s", [0.1, 1.0])
async def test_a_producer_in_doubt_hands_nothing_back(step: str, drain_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what it left open would be committed with a mark that says it is unfinished, and be decided again."""
    stage = Stage(records=3)
    once_then_fail(stage, step, after_s=0.15)
    reader, _ = reader_on(stage, monkeypatch)
    reader.joined([PARTITION])
    await until(lambda: step not in stage.before, "the transaction is under way")
    await reader.close_lanes(drain_s)
    other, _ = reader_on(stage, monkeypatch)
    other.joined([PARTITION])
    await until(lambda: stage.broker.committed is not None and stage.broker.committed[0] == 3, "the other one has finished all")
    assert sorted(stage.outcomes) == [0, 1, 2]
    await other.close_lanes(0.1)


async def test_nothing_is_written_after_a_doubt_or_a_cancelled_write(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(records=1)
    reader, work = reader_on(stage, monkeypatch)
    reader.joined([PARTITION])
    await until(lambda: stage.outcomes == [0], "the lane serves")
    lane = work.lanes[0]
    hangs = asyncio.Event()
    stage.before["end"] = hangs.wait
    stage.append()
    await until(lambda: lane._writer.busy, "a transaction is under way")
    await reader.close_lanes(0.0)
    with pytest.raises(Doubt, match="what became of its last transaction is not known"):
        await lane._writer.commit((), lane.state.mark)


async def test_one_transaction_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(records=1)
    reader, work = reader_on(stage, monkeypatch)
    reader.joined([PARTITION])
    await until(lambda: stage.outcomes == [0], "the lane serves")
    lane = work.lanes[0]
    await asyncio.gather(*(lane._writer.commit((), lane.state.mark) for _ in range(5)))
    assert stage.most_writing == 1
    await reader.close_lanes(0.1)


async def test_a_cancellation_lost_in_a_claim_ends_the_lane_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(records=3)
    reader, work = reader_on(stage, monkeypatch)
    remembers: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def as_the_library_waits() -> None:
        try:
            await remembers
        except asyncio.CancelledError:
            return  # in the same turn as its result: `asyncio.wait_for` of Python 3.11 drops it

    work.claiming = as_the_library_waits
    reader.joined([PARTITION])
    task = reader._lanes[PARTITION]
    await until(lambda: bool(work.lanes), "it is claimed")
    await reader.close_lanes(0.1)
    assert task.done()
    assert not reader.failed.done()
    assert stage.outcomes == []


async def test_a_lane_that_cannot_be_ended_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ENDING_S_MAX", 0.1)
    stage = Stage(records=0)
    reader, work = reader_on(stage, monkeypatch)
    ends = asyncio.Event()

    async def hears_nothing() -> None:
        while not ends.is_set():
            try:
                await ends.wait()
            except asyncio.CancelledError:
                continue

    work.claiming = hears_nothing
    reader.joined([PARTITION])
    task = reader._lanes[PARTITION]
    await until(lambda: bool(work.lanes), "it is claimed")
    await reader.close_lanes(0.0)
    assert isinstance(reader.failed.exception(), Fatal)
    ends.set()
    await asyncio.wait([task], timeout=5)


async def test_a_lane_that_is_being_claimed_takes_nothing_up_once_lanes_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(records=3)
    starts = asyncio.Event()
    stage.before["start"] = starts.wait
    reader, work = reader_on(stage, monkeypatch)
    reader.joined([PARTITION])
    await asyncio.sleep(4 * PAUSE_S)
    closing = asyncio.create_task(reader.close_lanes(1.0))
    await asyncio.sleep(0)
    starts.set()
    await closing
    assert work.lanes == []
    assert stage.broker.committed == (0, "")


async def test_a_living_process_is_no_dead_owner_however_often_it_gives_a_lane_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(records=3)
    reader, work = reader_on(stage, monkeypatch)
    work.hangs = True

    async def fails() -> None:
        raise NotCoordinatorForGroupError("it is being moved")

    for _ in range(5):
        reader.joined([PARTITION])
        await until(lambda: reader._open.keys() >= {PARTITION}, "the lane is open")
        await until(lambda: work.pending(work.lanes[-1]), "its records are taken up")
        lane = work.lanes[-1]
        monkeypatch.setattr(lane._producer, "commit_offset", lambda *_: fails())
        await reader.close_lanes(0.0)
    assert work.given_up == []
    work.hangs = False
    reader.joined([PARTITION])
    await until(lambda: sorted(stage.outcomes) == [0, 1, 2], "it decides at last")
    await reader.close_lanes(0.1)


@pytest.mark.parametrize("hangs", [False, True])
async def test_who_is_told_to_stop_finishes_what_it_holds_in_its_grace_time_and_hands_the_rest_back(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(records=50)
    reader, work = reader_on(stage, monkeypatch, drain_s=0.5, lane_records_max=20)
    work.hangs = hangs
    reader.joined([PARTITION])
    await until(lambda: bool(work.lanes) and work.pending(work.lanes[0]), "its records are taken up")
    lane = work.lanes[0]
    held = lane.state.unfinished
    assert held == 20
    began_s = asyncio.get_running_loop().time()
    await reader.close_lanes(reader._settings.drain_s)
    took_s = asyncio.get_running_loop().time() - began_s
    assert 0.5 <= took_s < 2.0 if hangs else took_s < 0.5, "it waits for what moves, and no longer than its grace time"
    assert not work.pending(lane)
    if hangs:
        assert stage.outcomes == []
    else:
        assert len(stage.outcomes) >= held
        assert stage.broker.committed is not None and stage.broker.committed[0] == len(stage.outcomes), "nothing is half done"
    other, successor = reader_on(stage, monkeypatch)
    other.joined([PARTITION])
    await until(lambda: sorted(stage.outcomes) == [*range(50)], "the next one decides the rest, each once")
    assert successor.given_up == [], "who leaves in peace makes nobody suspect"
    await other.close_lanes(0.1)


async def test_who_stands_behind_waits_for_what_may_kill_and_is_itself_asked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a record of either reader would bring the other's under suspicion, and in the end be given up in its place."""
    stage = Stage(records=2)
    stage.broker.committed = (0, Mark(0, claims=2).metadata())
    reader, work = reader_on(stage, monkeypatch)
    work.hangs = True
    assert not reader.lets_by(careful=False), "it has no lane yet: nobody knows what its owners died of"
    reader.joined([PARTITION])
    await until(lambda: work.pending_anywhere, "its first record is asked alone")
    assert not reader.lets_by(careful=False)
    await reader.close_lanes(0.0)
    stage.broker.committed = (0, Mark(0).metadata())
    reader.joined([PARTITION])
    await until(lambda: work.pending_anywhere, "its records are asked")
    assert reader.lets_by(careful=False)
    assert not reader.lets_by(careful=True), "what may kill would take these along"
    await reader.close_lanes(0.0)
    work.hangs = False
    reader.joined([PARTITION])
    await until(lambda: reader.lets_by(careful=True), "nothing is under way any more")
    assert sorted(stage.outcomes) == [0, 1]
    await reader.close_lanes(0.1)


async def test_what_the_logs_clock_refuses_is_not_written_but_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last guard of a decision's time: it may have been in time when it was sent."""
    stage = Stage(records=1)
    reader, _ = reader_on(stage, monkeypatch)
    record = stage.caused[b"expired"] = stage.caused[b"outcome of 0"]
    expired = Result(record, (Output("decisions", record.key, b"expired", ()),))
    looks: list[int] = []

    def again(log_ms: int) -> Result:
        looks.append(log_ms)
        return decided if len(looks) == 1 else expired  # in time when it is taken, and not when the log has it

    decided = Result(record, stage.answer(record).outputs, ordered=True, again=again)
    stage_answer = stage.answer
    monkeypatch.setattr(stage, "answer", lambda asked: decided if asked is record else stage_answer(asked))
    reader.joined([PARTITION])
    await until(lambda: bool(stage.broker.outcomes), "it has an outcome")
    assert [each.output.value for each in stage.broker.outcomes] == [b"expired"]
    await reader.close_lanes(0.1)


async def test_an_answer_held_behind_its_keys_earlier_one_expires_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(records=2)
    reader, work = reader_on(stage, monkeypatch)
    work.hangs = True
    reader.joined([PARTITION])
    await until(lambda: bool(work.lanes) and work.pending(work.lanes[0]), "both are asked")
    await asyncio.sleep(10 * PAUSE_S)  # the lane's writer sleeps, with nothing to wait for
    lane, second = work.lanes[0], stage.broker.input[1]
    assert second is not None
    expired = stage.answer(second)
    over_at_s = asyncio.get_running_loop().time() + 0.2

    def again(log_ms: int) -> Result:
        return expired if asyncio.get_running_loop().time() > over_at_s else held

    held = Result(second, expired.outputs, ordered=True, again=again)
    lane.finish(held)
    await until(lambda: stage.outcomes == [1], "it goes out by itself", s_max=2.0)
    await reader.close_lanes(0.0)
