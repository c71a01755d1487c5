"""What is finished and may not go out yet holds back the later answers of its key, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backbone.outbox import Outbox
from schemas.record import Output, Record
from schemas.result import Result
from schemas.source import Source

pytestmark = pytest.mark.unit

Again = Callable[[Result, int], Result | None]


class Gate:
    """Whether an answer may go out; before that nobody knows."""

    def __init__(self, *, opened: bool = False) -> None:
        self.open = opened

    def result(self, key: bytes, offset: int, ordered: bool = True) -> Result:
        """An answer behind this gate."""
        return made(key, offset, ordered, lambda itself, log_ms: itself if self.open else None)


def made(key: bytes, offset: int, ordered: bool = True, again: Again | None = None) -> Result:
    """A result; `again(result, log_ms)`, if any, says what may go out of it."""
    held: list[Result] = []
    ask = None if again is None else lambda log_ms: again(held[0], log_ms)
    held.append(Result(record(key, offset), (Output("decisions", key, b"four", ()),), ordered, ask))
    return held[0]


def record(key: bytes, offset: int) -> Record:
    return Record(Source("contexts.phi3", 0, offset), key, b"value", (), 0)


def expiring(key: bytes, offset: int, until_ms: int) -> Result:
    """An answer that is nobody's any more once its time is over."""
    over = made(key, offset, ordered=False)
    return made(key, offset, again=lambda itself, log_ms: over if log_ms >= until_ms else itself)


def outbox(*results: Result, of: tuple[Result, ...] = ()) -> Outbox:
    """One with the records of all these delivered, by their offsets, and `results` finished, in this order."""
    box = Outbox()
    for result in sorted((*results, *of), key=lambda each: each.record.source.offset):
        box.expect(result.record)
    for result in results:
        box.finish(result)
    return box


def taken(box: Outbox, log_ms: int = 0) -> list[Result]:
    return box.take(log_ms, 100, 1 << 20)


def test_what_may_go_out_does() -> None:
    result = Gate(opened=True).result(b"a", 1)
    box = outbox(result)
    assert taken(box) == [result]
    assert not box.ready and not box.holds_back


def test_an_answer_that_waits_holds_back_the_later_ones_of_its_key() -> None:
    gate = Gate()
    first, second, other = gate.result(b"a", 1), Gate(opened=True).result(b"a", 2), Gate(opened=True).result(b"b", 3)
    box = outbox(first, second, other)
    assert taken(box) == [other]
    assert box.holds_back


def test_what_is_no_models_answer_passes() -> None:
    waits, expired = Gate().result(b"a", 1), made(b"a", 2, ordered=False)
    assert taken(outbox(waits, expired)) == [expired]


def test_behind_an_answer_that_waits_one_expires_at_its_own_time() -> None:
    waits, hurries = Gate().result(b"a", 1), expiring(b"a", 2, until_ms=10)
    box = outbox(waits, hurries)
    assert taken(box, 9) == []
    box.look_again(10)
    assert [(each.record.source.offset, each.ordered) for each in taken(box, 10)] == [(2, False)]


def test_once_it_may_go_its_key_goes_on_in_order() -> None:
    gate = Gate()
    first, second = gate.result(b"a", 1), made(b"a", 2)
    box = outbox(first, second)
    assert taken(box) == []
    gate.open = True
    box.look_again(0)
    assert taken(box) == [first, second]


def test_what_is_held_behind_an_earlier_record_expires_by_itself() -> None:
    first, second = made(b"a", 1), expiring(b"a", 2, until_ms=10)
    box = outbox(second, of=(first,))
    box.look_again(9)
    assert taken(box, 9) == []
    box.look_again(10)
    assert [each.ordered for each in taken(box, 10)] == [False]
    box.finish(first)
    assert taken(box, 10) == [first]
    assert not box.holds_back


def test_a_refused_transaction_is_turned_by_the_logs_clock_and_goes_again_in_its_order() -> None:
    first, second, third = made(b"a", 1), expiring(b"a", 2, until_ms=10), made(b"b", 3)
    box = outbox(first, second)
    refused = taken(box, 9)
    assert refused == [first, second]
    box.expect(third.record)
    box.finish(third)
    box.put_back(refused, 10)
    again = taken(box, 9)  # the wall clock is behind the log's: what was turned stays so
    assert [each.record.source.offset for each in again] == [1, 2, 3]
    assert [each.ordered for each in again] == [True, False, True]


def test_a_transaction_is_bounded() -> None:
    results = [made(b"a", offset) for offset in range(10)]
    assert outbox(*results).take(0, 3, 1 << 20) == results[:3]
    assert outbox(*results).take(0, 100, 10) == results[:3], "of four bytes each: the third goes over the bound"


def test_an_answer_that_is_put_back_stays_before_the_later_one_of_its_key_that_waits() -> None:
    first, second = Gate(opened=True), Gate()
    one, two = first.result(b"a", 1), second.result(b"a", 2)
    box = outbox(one, two)
    assert taken(box) == [one], "the second one is not known yet"
    first.open = False  # by the time the log took it, nobody knew of the first one either
    box.put_back([one], 0)
    first.open = second.open = True
    box.look_again(0)
    assert taken(box) == [one, two]


def test_a_look_at_what_waits_does_not_put_it_before_an_earlier_answer_that_was_put_back() -> None:
    first, second = Gate(opened=True), Gate()
    one, two = first.result(b"a", 1), second.result(b"a", 2)
    box = outbox(one, two)
    assert taken(box) == [one]
    box.put_back([one], 0)  # refused a moment ago, and known again by now
    second.open = True
    box.look_again(0)
    assert taken(box) == [one, two]
