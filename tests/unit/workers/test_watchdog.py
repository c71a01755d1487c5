"""Whoever has questions and makes no step is hung; slow ones, idle ones and those that slept are not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.watchdog import HUNG_TIMES, LOOK_S_MAX, Watchdog

pytestmark = pytest.mark.unit

HUNG_S = 30.0
EVERY_S = 0.5


def hung_after_s(looks: Iterable[tuple[int, int]], every_s: float = EVERY_S) -> float | None:
    """When the watchdog says so, looking at (steps, questions) every so often; None: never."""
    watchdog = Watchdog(HUNG_S)
    for number, (steps, questions) in enumerate(looks):
        if watchdog.look(steps, questions, number * every_s):
            return number * every_s
    return None


def test_questions_and_no_step_is_hung_after_twice_a_questions_time() -> None:
    after_s = hung_after_s((5, 3) for _ in range(1_000))
    assert after_s is not None and HUNG_TIMES * HUNG_S < after_s <= HUNG_TIMES * HUNG_S + 2 * EVERY_S


def test_an_idle_engine_never_is() -> None:
    assert hung_after_s((5, 0) for _ in range(10_000)) is None


def test_a_slow_engine_that_moves_never_is() -> None:
    rare = int(HUNG_TIMES * HUNG_S / EVERY_S) - 2
    assert hung_after_s((number // rare, 40) for number in range(20 * rare)) is None


def test_one_whose_questions_end_by_themselves_is_found_out_by_those_that_try_it_again() -> None:
    # A question for 30 s, then nobody for 90 s: what a breaker and its probes leave of a hung engine's work.
    looks = [(5, int(number % 240 < 60)) for number in range(1_000)]
    after_s = hung_after_s(looks)
    assert after_s is not None and after_s < 300


def test_any_step_forgives_all_before() -> None:
    nearly = int(HUNG_TIMES * HUNG_S / EVERY_S) - 2
    assert hung_after_s([(5, 1)] * nearly + [(6, 1)] * nearly) is None


def test_a_process_that_slept_does_not_blame_its_engine() -> None:
    watchdog = Watchdog(HUNG_S)
    watchdog.look(5, 3, 0.0)
    watchdog.look(5, 3, EVERY_S)
    assert not watchdog.look(5, 3, 10_000.0)
    assert watchdog.silent_s == EVERY_S + LOOK_S_MAX


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=400))
def test_it_is_hung_only_after_enough_time_with_questions_and_without_a_step(looks: list[tuple[bool, int]]) -> None:
    watchdog, steps, owed_s = Watchdog(HUNG_S), 0, 0.0
    for number, (stepped, questions) in enumerate(looks):
        steps += stepped
        owed_s = 0.0 if stepped else owed_s + EVERY_S * bool(questions and number)
        assert watchdog.look(steps, questions, number * EVERY_S) == (owed_s > HUNG_TIMES * HUNG_S)
