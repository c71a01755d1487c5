"""One claim of a lane: what it takes up, what it commits, and what it makes of its transactions' ends."""

from __future__ import annotations

import pytest

from backbone.lane_state import (
    IDLE_COMMIT_S,
    MARK_ONLY,
    SUSPECT_AFTER_CLAIMS,
    UNDECIDABLE_AFTER_CLAIMS,
    LaneState,
    Limits,
)
from backbone.progress import Mark
from schemas.record import Output, Record
from schemas.result import Result
from schemas.source import Source

pytestmark = pytest.mark.unit

NOTHING_YET = Mark(0)


def record(offset: int, value: bytes = b"value") -> Record:
    return Record(Source("contexts", 0, offset), b"key", value, (), 0)


def result(of: Record) -> Result:
    return Result(of, (Output("decisions", of.key, b"four", ()),))


def state(mark: Mark = NOTHING_YET, *, end: int = 100, count_claim: bool = True, **limits: int) -> LaneState:
    made = LaneState(Limits(**({"records_max": 100, "bytes_max": 1 << 20} | limits)), count_claim=count_claim)
    made.start(mark, end, 0.0)
    return made


def delivered(lane: LaneState, *offsets: int) -> list[Record]:
    """What it delivers of these, asked for all."""
    lane.read([record(offset) for offset in offsets], 0.0)
    return lane.deliver(len(offsets))


def written(lane: LaneState, *records: Record) -> Mark:
    """The mark of the transaction that wrote these."""
    for each in records:
        lane.finish(result(each))
    write = lane.next_write(0)
    assert write is not None
    mark = lane.mark(write)
    lane.written(write)
    return mark


def test_a_record_that_an_earlier_claim_finished_is_not_delivered() -> None:
    lane = state(Mark(1, frozenset({2})))
    assert [each.source.offset for each in delivered(lane, 1, 2, 3)] == [1, 3]


def test_what_was_read_and_not_asked_for_stays_for_the_next_time() -> None:
    lane = state()
    lane.read([record(0), record(1), record(2)], 0.0)
    assert [each.source.offset for each in lane.deliver(2)] == [0, 1]
    assert not lane.needs_records
    assert [each.source.offset for each in lane.deliver(2)] == [2]
    assert lane.needs_records


def test_what_is_asked_has_no_result_yet_and_what_is_unfinished_is_not_written() -> None:
    lane = state()
    first, _ = delivered(lane, 0, 1)
    assert (lane.asked, lane.unfinished) == (2, 2)
    lane.finish(result(first))
    assert (lane.asked, lane.unfinished) == (1, 2)
    lane.written(write := lane.next_write(0))  # type: ignore[arg-type]
    assert write is not None and (lane.asked, lane.unfinished) == (1, 1)


def test_there_is_room_while_records_and_bytes_are_below_their_bounds() -> None:
    lane = state(records_max=2, bytes_max=8)
    assert lane.room
    first = delivered(lane, 0)[0]
    assert lane.room and lane.held_bytes == 5
    lane.finish(result(first))
    assert not lane.room and lane.held_bytes == 9, "its result counts too"
    write = lane.next_write(0)
    lane.written(write)
    assert lane.room and lane.held_bytes == 0


def test_the_mark_of_a_transaction_says_what_it_finishes() -> None:
    lane = state()
    first, second, third = delivered(lane, 0, 1, 2)
    assert written(lane, second) == Mark(0, frozenset({1}))
    assert written(lane, first) == Mark(2)
    assert written(lane, third) == Mark(3)
    assert lane.next_write(0) is None


def test_a_refused_transaction_finishes_nothing() -> None:
    lane = state()
    lane.finish(result(delivered(lane, 0)[0]))
    write = lane.next_write(0)
    lane.refused(write, 1)
    assert (lane.unfinished, lane.progressed) == (1, False)
    assert lane.next_write(1) == write


def test_an_idle_lane_commits_its_position_once() -> None:
    lane = state()
    written(lane, *delivered(lane, 0))
    lane.read_nothing(7)
    assert not lane.is_idle(IDLE_COMMIT_S)
    assert lane.is_idle(IDLE_COMMIT_S + 0.1)
    assert lane.next_write(0) is MARK_ONLY
    assert lane.mark() == Mark(7)
    assert not lane.is_idle(IDLE_COMMIT_S + 0.1)
    assert lane.next_write(0) is None


def test_a_claim_is_counted_once_and_forgotten_when_its_first_record_is_finished() -> None:
    lane = state()
    first, second, _ = delivered(lane, 0, 1, 2)
    assert lane.count() and not lane.count()
    assert lane.mark() == Mark(0, claims=1)
    assert written(lane, second) == Mark(0, frozenset({1}), claims=1), "others' outcomes say nothing for the first"
    assert written(lane, first) == Mark(2)
    assert lane.mark() == Mark(2)


def test_a_claim_of_a_living_process_is_not_counted_again() -> None:
    lane = state(Mark(0, claims=1), count_claim=False)
    delivered(lane, 0)
    assert not lane.count()
    assert lane.mark() == Mark(0, claims=1)
    assert not lane.careful


def test_an_owner_that_leaves_in_peace_takes_its_claim_off_the_count() -> None:
    lane = state(Mark(0, claims=1))
    assert not lane.stays_counted, "it took nothing up"
    delivered(lane, 0)
    lane.count()
    assert lane.stays_counted
    assert lane.mark_handed_back() == Mark(0, claims=1)


def test_after_two_dead_owners_the_records_they_can_have_read_are_asked_one_by_one() -> None:
    lane = state(Mark(0, claims=SUSPECT_AFTER_CLAIMS - 1), end=2)
    assert lane.careful
    (first,) = delivered(lane, 0, 1, 2, 3)
    assert not lane.room
    written(lane, first)
    assert lane.careful and lane.room
    (second,) = lane.deliver(4)
    written(lane, second)
    assert not lane.careful
    assert [each.source.offset for each in lane.deliver(4)] == [2, 3], "what came later, no dead owner can have read"


def test_after_four_the_first_is_given_up() -> None:
    lane = state(Mark(0, claims=UNDECIDABLE_AFTER_CLAIMS - 1))
    delivered(lane, 0)
    assert not lane.suspected
    lane.count()
    assert lane.suspected
