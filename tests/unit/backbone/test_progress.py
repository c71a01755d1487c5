"""A lane's mark says exactly what is finished, whatever order answers come in and wherever the log has gaps."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backbone.progress import WINDOW_OFFSETS, Mark, Progress

pytestmark = pytest.mark.unit

METADATA_BYTES_MAX = 4_096  # the broker's default


def delivered(progress: Progress, *offsets: int) -> None:
    for offset in offsets:
        assert progress.deliver(offset)


def test_the_mark_stands_at_the_lowest_unfinished_record() -> None:
    progress = Progress(Mark(0))
    delivered(progress, 0, 1, 2, 3)
    progress.finish([1, 3])
    assert progress.mark() == Mark(0, frozenset({1, 3}))
    progress.finish([0])
    assert progress.mark() == Mark(2, frozenset({3}))


def test_with_nothing_unfinished_the_mark_stands_at_the_position() -> None:
    progress = Progress(Mark(5))
    delivered(progress, 5, 7)
    progress.finish([5, 7])
    assert progress.mark() == Mark(8)
    progress.pass_by(12)
    assert progress.mark() == Mark(12)


def test_an_offset_that_is_never_delivered_does_not_hold_the_mark_back() -> None:
    progress = Progress(Mark(0))
    for offset in range(0, 20_000, 2):  # every other one is a transaction's marker
        delivered(progress, offset)
        progress.finish([offset])
        assert progress.mark().offset == offset + 1


def test_an_offset_that_is_never_delivered_counts_as_finished_in_the_bitmap() -> None:
    progress = Progress(Mark(0))
    delivered(progress, 0, 2, 4)
    progress.finish([4])
    assert progress.mark() == Mark(0, frozenset({1, 3, 4}))


def test_what_a_transaction_finishes_is_in_its_own_mark() -> None:
    progress = Progress(Mark(0))
    delivered(progress, 0, 1, 2)
    assert progress.mark(finishing={0, 1}) == Mark(2)
    assert progress.mark() == Mark(0), "asking does not finish"


def test_a_record_that_an_earlier_claim_finished_is_not_delivered_again() -> None:
    progress = Progress(Mark(3, frozenset({4, 6})))
    assert [offset for offset in range(3, 9) if progress.deliver(offset)] == [3, 5, 7, 8]
    progress.finish([3, 5, 7, 8])
    assert progress.mark() == Mark(9)


def test_what_an_earlier_claim_finished_stays_finished_until_it_is_reached() -> None:
    progress = Progress(Mark(3, frozenset({9})))
    delivered(progress, 3, 4)
    progress.finish([4])
    assert progress.mark() == Mark(3, frozenset({4, 9}))


def test_what_an_earlier_claim_finished_right_at_the_position_is_not_forgotten() -> None:
    progress = Progress(Mark(1, frozenset({2, 3, 6})))
    delivered(progress, 1)
    assert progress.mark(finishing={1}) == Mark(4, frozenset({6}))
    progress.finish([1])
    assert progress.mark() == Mark(4, frozenset({6}))
    assert [offset for offset in range(2, 7) if progress.deliver(offset)] == [4, 5]


def test_offsets_come_in_order() -> None:
    progress = Progress(Mark(5))
    with pytest.raises(ValueError, match="out of order"):
        progress.deliver(4)


def test_nothing_is_taken_that_the_bitmap_could_not_say() -> None:
    progress = Progress(Mark(0))
    delivered(progress, 0)
    assert progress.fits(WINDOW_OFFSETS)
    assert not progress.fits(WINDOW_OFFSETS + 1)
    progress.finish([0])
    assert progress.fits(WINDOW_OFFSETS + 1)


def test_the_fullest_mark_fits_the_brokers_metadata() -> None:
    full = Mark(7, frozenset(range(8, 8 + WINDOW_OFFSETS)), claims=999)
    assert len(full.metadata().encode()) <= 700 < METADATA_BYTES_MAX
    assert Mark.parse(7, full.metadata()) == full


def test_no_metadata_is_a_mark_with_nothing_ahead() -> None:
    assert Mark.parse(12, "") == Mark(12)


@pytest.mark.parametrize("text", ["b2:0:", "hello", "b1:x:", "b1:1:\x00", "::"])
def test_somebody_elses_metadata_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Mark.parse(0, text)


@given(offset=st.integers(0, 2**40), ahead=st.sets(st.integers(1, WINDOW_OFFSETS)), claims=st.integers(0, 100))
def test_every_mark_comes_back_from_its_metadata(offset: int, ahead: set[int], claims: int) -> None:
    mark = Mark(offset, frozenset(offset + each for each in ahead), claims)
    assert Mark.parse(offset, mark.metadata()) == mark


class Lane(RuleBasedStateMachine):
    """A log with gaps, answers in any order, commits that come through or do not, and claims anew from what was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[int] = []
        self.end = 0
        self.committed = Mark(0)
        self.done: set[int] = set()  # what a committed transaction wrote: the truth
        self.claim()

    @rule()
    def claim(self) -> None:
        self.progress = Progress(self.committed)
        self.open: list[int] = []

    @rule(gaps=st.lists(st.booleans(), min_size=1, max_size=30))
    def written(self, gaps: list[bool]) -> None:
        for gap in gaps:
            if not gap:
                self.log.append(self.end)
            self.end += 1

    @rule(count=st.integers(1, 20))
    def delivers(self, count: int) -> None:
        for offset in [each for each in self.log if each >= self.progress.position][:count]:
            assert self.progress.fits(offset)
            if self.progress.deliver(offset):
                assert offset not in self.done, "asked again though it has its outcome"
                self.open.append(offset)
            else:
                assert offset in self.done, "skipped without an outcome"

    @rule()
    def passes_by(self) -> None:
        if not [each for each in self.log if each >= self.progress.position]:
            self.progress.pass_by(self.end)

    @precondition(lambda self: self.open)
    @rule(seed=st.integers(0, 2**16), through=st.booleans())
    def writes(self, seed: int, through: bool) -> None:
        chosen = [each for each in self.open if random.Random(seed + each).random() < 0.5]
        mark = self.progress.mark(frozenset(chosen))
        if not through:  # nobody knows: it is claimed again, from what was committed before
            return self.claim()
        self.committed = Mark.parse(mark.offset, mark.metadata())
        self.done |= set(chosen)
        self.progress.finish(chosen)
        self.open = [each for each in self.open if each not in chosen]
        return None

    @rule()
    def commits_while_idle(self) -> None:
        self.committed = self.progress.mark()

    @invariant()
    def the_mark_says_exactly_what_is_done(self) -> None:
        says = {each for each in self.log if each < self.committed.offset or each in self.committed.ahead}
        assert says == self.done

    @invariant()
    def nothing_is_counted_wrong(self) -> None:
        assert self.progress.unfinished == len(self.open)
        lowest = self.progress.lowest
        assert lowest == min(self.open, default=lowest)
        assert {each for each in self.log if self.progress.position <= each < lowest} <= self.done


TestLane = Lane.TestCase
