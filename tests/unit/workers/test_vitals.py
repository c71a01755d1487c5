"""What an engine tells after each step adds up, and says whether it moves and whether it has enough to do."""

from __future__ import annotations

import pytest

from workers.vitals import Pulse, Step, Sums

pytestmark = pytest.mark.unit

TOKEN = Sums(generation_tokens=1)


def pulse(clock: list[float]) -> Pulse:
    return Pulse(4, lambda: clock[0])


def test_sums_grow_and_the_rest_is_as_last_told() -> None:
    clock = [10.0]
    told = pulse(clock)
    told.step(Step(3, 2, 0.5, Sums(100, 64, 1, 100, 3)))
    clock[0] = 11.0
    told.step(Step(4, 0, 0.25, Sums(generation_tokens=4)))
    clock[0] = 12.0
    vitals = told.vitals(4, alive=True)
    assert (vitals.at_s, vitals.running, vitals.waiting, vitals.kv_use) == (11.0, 4, 0, 0.25)
    assert vitals.sums == Sums(100, 64, 1, 100, 7)


def test_an_engine_with_nothing_to_do_is_known_though_it_says_nothing() -> None:
    clock = [10.0]
    told = pulse(clock)
    told.step(Step(3, 2, 0.5, TOKEN))
    clock[0] = 500.0
    vitals = told.vitals(0, alive=False)
    assert (vitals.at_s, vitals.running, vitals.waiting, vitals.kv_use) == (500.0, 0, 0, 0.0)
    assert (vitals.steps, vitals.alive) == (1, False)


@pytest.mark.parametrize(
    ("step", "advanced"),
    [
        (Step(1, 0, 0.1, TOKEN), True),
        (Step(1, 0, 0.1, Sums(prompt_tokens=9)), True),
        (Step(1, 0, 0.2, Sums()), True),  # a part of a long prompt
        (Step(1, 0, 0.1, Sums()), False),
        (Step(0, 9, 0.05, Sums(prefix_queries=50, prefix_hits=50)), False),  # it only looks, again and again
    ],
)
def test_only_what_brings_a_question_forward_is_a_step(step: Step, advanced: bool) -> None:
    told = pulse([0.0])
    told.step(Step(1, 0, 0.1, TOKEN))
    told.step(step)
    assert told.vitals(1, alive=True).steps == 1 + advanced


def test_a_step_is_hungry_that_leaves_fewer_questions_than_are_computed_at_once() -> None:
    told = pulse([0.0])
    for running, waiting in ((4, 4), (0, 4), (3, 0), (0, 0)):  # after one-token answers nothing runs, and the next step is full
        told.step(Step(running, waiting, 0.1, TOKEN))
    vitals = told.vitals(1, alive=True)
    assert (vitals.steps, vitals.hungry_steps) == (4, 2)
