"""An id is decided once within its partition's window, and a lane that reads its own records again is not misled."""

from __future__ import annotations

import pytest

from deciders.dedupe import Dedupe, Name, Seen

pytestmark = pytest.mark.unit


def name(context_id: str = "c", **fields: str) -> Name:
    return Name(**({"run_id": None, "bot_id": "b", "symbol": "S", "context_id": context_id} | fields))


def test_the_same_content_again_is_a_repeat_and_other_content_a_reuse() -> None:
    dedupe = Dedupe(10)
    assert dedupe.take(name(), 5, "x") is Seen.FIRST
    assert dedupe.take(name(), 6, "x") is Seen.REPEATED
    assert dedupe.take(name(), 7, "y") is Seen.REUSED


@pytest.mark.parametrize("other", [{"bot_id": "c"}, {"symbol": "T"}, {"run_id": "r"}, {"context_id": "d"}])
def test_an_id_belongs_to_its_bot_symbol_and_run(other: dict[str, str]) -> None:
    dedupe = Dedupe(10)
    dedupe.take(name(), 5, "x")
    assert dedupe.take(name(**other), 6, "x") is Seen.FIRST


def test_a_record_read_again_is_no_repeat_of_itself() -> None:
    dedupe = Dedupe(10)
    dedupe.take(name(), 5, "x")
    dedupe.take(name(), 8, "x")
    assert dedupe.take(name(), 5, "x") is Seen.FIRST
    assert dedupe.take(name(), 8, "x") is Seen.REPEATED


def test_what_will_be_read_again_is_forgotten_and_what_lies_below_is_not() -> None:
    dedupe = Dedupe(10)
    dedupe.take(name("old"), 4, "x")
    dedupe.take(name("new"), 5, "x")
    dedupe.forget_from(5)
    assert dedupe.covered == 5
    assert dedupe.take(name("old"), 6, "x") is Seen.REPEATED
    assert dedupe.take(name("new"), 7, "x") is Seen.FIRST


def test_it_remembers_exactly_its_window() -> None:
    dedupe = Dedupe(3)
    for offset in range(4):
        dedupe.take(name(str(offset)), offset, "x")
    assert dedupe.take(name("1"), 9, "x") is Seen.REPEATED
    assert dedupe.take(name("0"), 9, "x") is Seen.FIRST


def test_names_that_only_look_alike_when_joined_are_different() -> None:
    dedupe = Dedupe(10)
    dedupe.take(name("c", symbol="S:T"), 1, "x")
    assert dedupe.take(name("T:c", symbol="S"), 2, "x") is Seen.FIRST


def test_it_knows_up_to_where_it_has_read() -> None:
    dedupe = Dedupe(10)
    dedupe.take(name("a"), 7, "x")
    assert dedupe.covered == 8
    dedupe.take(name("b"), 3, "x")
    assert dedupe.covered == 8
