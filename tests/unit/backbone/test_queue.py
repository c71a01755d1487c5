"""What is finished and may not go out yet holds back the later answers of its key, and nobody else's."""

from __future__ import annotations

import pytest

from backbone.lane import _Queue
from backbone.result import Result
from schemas.record import Output, Record
from schemas.source import Source

pytestmark = pytest.mark.unit


class Gate:
    """Whether an answer may go out."""

    def __init__(self) -> None:
        self.open = False

    def result(self, key: bytes, offset: int, ordered: bool = True) -> Result:
        record = Record(Source("contexts.phi3", 0, offset), key, b"value", (), 0)
        held: list[Result] = []
        made = Result(record, (Output("decisions", key, b"", ()),), ordered, lambda log_ms: held[0] if self.open else None)
        held.append(made)
        return made


def free(key: bytes, offset: int, ordered: bool = True) -> Result:
    gate = Gate()
    gate.open = True
    return gate.result(key, offset, ordered)


def test_what_may_go_out_does() -> None:
    queue, result = _Queue(), free(b"a", 1)
    assert queue.look(result, 0) is result
    assert queue.waiting == []


def test_an_answer_that_waits_holds_back_the_later_ones_of_its_key() -> None:
    queue, gate = _Queue(), Gate()
    first, second, other = gate.result(b"a", 1), free(b"a", 2), free(b"b", 3)
    assert queue.look(first, 0) is None
    assert queue.look(second, 0) is None
    assert queue.look(other, 0) is other
    assert queue.waiting == [first, second]


def test_what_is_no_models_answer_passes() -> None:
    queue, gate = _Queue(), Gate()
    assert queue.look(gate.result(b"a", 1), 0) is None
    expired = free(b"a", 2, ordered=False)
    assert queue.look(expired, 0) is expired


def test_once_it_may_go_its_key_goes_on_in_order() -> None:
    queue, gate = _Queue(), Gate()
    first, second = gate.result(b"a", 1), free(b"a", 2)
    assert [queue.look(each, 0) for each in (first, second)] == [None, None]
    gate.open = True
    assert [queue.look(each, 0) for each in queue.look_again()] == [first, second]
