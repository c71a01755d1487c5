"""A lane keeps its promises under whatever schedule of steps and faults is drawn; TEST_SCHEDULES says how many are."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.answers import AnswersMachine
from tests.model.machine import Machine
from tests.model.routers import RouterMachine
from tests.model.takeover import TakeoverMachine

pytestmark = pytest.mark.model

SCHEDULES = int(os.environ.get("TEST_SCHEDULES", "300"))
STEPS = 50
DRAWN = settings(
    max_examples=SCHEDULES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="TEST_SCHEDULES" not in os.environ,  # the few are always the same ones; the many are drawn anew
)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("machine", [TakeoverMachine, AnswersMachine, RouterMachine])
def test_no_schedule_breaks_a_promise(machine: type[Machine], capsys: pytest.CaptureFixture[str]) -> None:
    before = machine.schedules
    try:
        run_state_machine_as_test(machine, settings=DRAWN)
    except AssertionError:
        sys.stdout.write("\n".join(["the shortest schedule that breaks it:", *machine.last, ""]))
        raise
    tried = machine.schedules - before
    assert tried >= SCHEDULES
    with capsys.disabled():
        sys.stdout.write(f"\n{machine.__name__}: {tried} schedules of at most {STEPS} rules, and no promise was broken\n")
