"""The depth finds what keeps an engine's steps full, within its bounds, and only while there is enough to ask."""

from __future__ import annotations

import random

import pytest

from workers.depth import FIRST, LEAST, MOST, STEPS_MIN, Depth
from workers.vitals import Vitals

pytestmark = pytest.mark.unit

CONCURRENCY = 16


class Sampled:
    """An engine that is looked at every `STEPS_MIN` steps."""

    def __init__(self) -> None:
        self.depth = Depth(CONCURRENCY)
        self._steps = self._hungry = 0
        self.look(left=CONCURRENCY)

    def look(self, left: int, hungry_of: float = 0.0, steps: int = STEPS_MIN, *, wanted: bool = True) -> int:
        self._steps += steps
        self._hungry += round(hungry_of * steps)
        running = min(left, CONCURRENCY)
        vitals = Vitals(0.0, running=running, waiting=left - running, steps=self._steps, hungry_steps=self._hungry)
        self.depth.adapt(vitals, wanted=wanted)
        return self.depth.questions


def test_it_begins_with_what_was_measured() -> None:
    assert Depth(CONCURRENCY).questions == FIRST * CONCURRENCY
    assert Depth(1).questions == 2


def test_a_starving_engine_is_given_more_in_strides_and_not_without_end() -> None:
    engine = Sampled()
    assert engine.look(left=10, hungry_of=0.5) == FIRST * CONCURRENCY + 4
    for _ in range(10):
        engine.look(left=10, hungry_of=0.5)
    assert engine.depth.questions == MOST * CONCURRENCY


def test_a_queue_inside_the_engine_is_made_shorter_one_by_one_and_not_below_a_full_step() -> None:
    engine = Sampled()
    assert engine.look(left=2 * CONCURRENCY) == FIRST * CONCURRENCY - 1
    for _ in range(100):
        engine.look(left=2 * CONCURRENCY)
    assert engine.depth.questions == LEAST * CONCURRENCY


def test_a_few_that_wait_and_a_rare_hungry_step_are_as_it_should_be() -> None:
    engine = Sampled()
    for _ in range(20):
        assert engine.look(left=CONCURRENCY + CONCURRENCY // 2) == FIRST * CONCURRENCY
        assert engine.look(left=2 * CONCURRENCY, hungry_of=0.02) == FIRST * CONCURRENCY


def test_without_enough_questions_it_learns_nothing() -> None:
    engine = Sampled()
    for _ in range(20):
        assert engine.look(left=1, hungry_of=1.0, wanted=False) == FIRST * CONCURRENCY
    assert engine.look(left=1, hungry_of=1.0) == FIRST * CONCURRENCY, "the time before counts for nothing"


def test_few_steps_say_nothing() -> None:
    engine = Sampled()
    for _ in range(4):
        assert engine.look(left=1, hungry_of=1.0, steps=STEPS_MIN // 5) == FIRST * CONCURRENCY
    assert engine.look(left=1, hungry_of=1.0, steps=STEPS_MIN // 5) > FIRST * CONCURRENCY


@pytest.mark.parametrize("answer_steps", [1, 40])  # one token, or a sentence
@pytest.mark.parametrize("transit", [0, 3, 8])  # questions that are on their way between the engine and its worker
def test_it_comes_to_rest_where_the_engines_steps_are_full(answer_steps: int, transit: int) -> None:
    depth, chance = Depth(CONCURRENCY), random.Random(answer_steps)
    running, hungry, rests = [0] * CONCURRENCY, 0, list[int]()
    for steps in range(1, 20_000):
        inside = depth.questions - transit
        ended = [each for each in running if each <= 1]
        running = [each - 1 for each in running if each > 1]
        left = inside - len(ended)  # what ended comes back as a new question during the next step
        hungry += left < CONCURRENCY
        depth.adapt(Vitals(0.0, running=len(running), waiting=left - len(running), steps=steps, hungry_steps=hungry), wanted=True)
        rests.append(depth.questions)
        refill = min(CONCURRENCY, inside) - len(running)
        running += [answer_steps + chance.randrange(-answer_steps // 4, answer_steps // 4 + 1) for _ in range(refill)]
    last = rests[-5_000:]
    assert max(last) - min(last) <= CONCURRENCY // 4 + 1, "it does not swing"
    assert min(last) > CONCURRENCY
