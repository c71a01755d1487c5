"""Results of one key go out in the order of their records; between keys nothing waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.order import KeyOrder

pytestmark = pytest.mark.unit


def lined_up(*taken: tuple[bytes, int]) -> KeyOrder[str]:
    order: KeyOrder[str] = KeyOrder()
    for key, offset in taken:
        order.deliver(key, offset)
    return order


def test_a_result_waits_for_the_earlier_one_of_its_key() -> None:
    order = lined_up((b"a", 1), (b"a", 2))
    assert order.finish(b"a", 2, "second") == []
    assert len(order) == 1
    assert order.finish(b"a", 1, "first") == ["first", "second"]
    assert len(order) == 0


def test_another_key_does_not_wait() -> None:
    order = lined_up((b"a", 1), (b"b", 2))
    assert order.finish(b"b", 2, "b's") == ["b's"]


def test_a_record_that_ends_without_waiting_lets_the_next_go() -> None:
    order = lined_up((b"a", 1), (b"a", 2))
    order.finish(b"a", 2, "second")
    assert order.leave(b"a", 1) == ["second"]


def test_one_that_ends_its_waiting_leaves_the_others_in_line() -> None:
    order = lined_up((b"a", 1), (b"a", 2), (b"a", 3))
    order.finish(b"a", 2, "second")
    order.finish(b"a", 3, "third")
    assert order.leave(b"a", 2) == []
    assert order.held() == [(3, "third")]
    assert order.finish(b"a", 1, "first") == ["first", "third"]


def test_a_result_that_was_replaced_keeps_its_place() -> None:
    order = lined_up((b"a", 1), (b"a", 2), (b"a", 3))
    order.finish(b"a", 2, "second")
    order.finish(b"a", 3, "third")
    order.replace(2, "second, anew")
    assert order.finish(b"a", 1, "first") == ["first", "second, anew", "third"]


@given(keys=st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=40), data=st.data())
def test_whatever_the_order_of_answers_each_key_keeps_its_own_and_nothing_stays(keys: list[bytes], data: st.DataObject) -> None:
    order: KeyOrder[tuple[bytes, int]] = KeyOrder()
    for offset, key in enumerate(keys):
        order.deliver(key, offset)
    out: list[tuple[bytes, int]] = []
    for offset in data.draw(st.permutations(range(len(keys)))):
        waits = data.draw(st.booleans())
        if waits:
            out += order.finish(keys[offset], offset, (keys[offset], offset))
        else:
            out += order.leave(keys[offset], offset)
    for key in set(keys):
        own = [offset for of, offset in out if of == key]
        assert own == sorted(own)
    assert len(order) == 0
    assert order._line == {}, "a key that is done with is forgotten"
