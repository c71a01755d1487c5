"""Each known mistake is found, by the promise that it breaks; `pytest -s` shows the shortest schedule that betrays it."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.case import Case
from tests.faults.mistakes import IN_THE_MODEL
from tests.model import planted
from tests.model.answers import AnswersMachine
from tests.model.machine import Machine
from tests.model.planted import Plant
from tests.model.routers import RouterMachine
from tests.model.takeover import TakeoverMachine

pytestmark = pytest.mark.model

SEARCH = settings(
    max_examples=5_000,
    stateful_step_count=20,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
PLANTED: list[tuple[Plant, type[Machine], str]] = [
    (planted.one_transactional_id_a_process, TakeoverMachine, "once|atomic"),
    (planted.the_offset_read_before_the_fence, TakeoverMachine, "once|atomic"),
    (planted.the_producer_kept_after_a_doubtful_commit, TakeoverMachine, "once|atomic"),
    (planted.auto_commit, TakeoverMachine, "atomic"),
    (planted.send_futures_not_awaited, TakeoverMachine, "atomic"),
    (planted.the_bitmap_not_written, TakeoverMachine, "once|atomic"),
    (planted.a_result_published_before_an_earlier_one_of_its_key, TakeoverMachine, "order"),
    (planted.a_watermark_that_waits_for_markers, TakeoverMachine, "complete|atomic"),
    (planted.its_own_record_taken_for_a_repeat, RouterMachine, "named once"),
    (planted.no_committed_offset_taken_as_earliest, TakeoverMachine, "once|atomic"),
    (planted.a_mark_that_stands_on_what_is_finished, TakeoverMachine, "once|atomic"),
    (planted.an_answer_that_expires_only_once_its_key_goes_on, AnswersMachine, "in time"),
    (planted.an_answer_put_back_behind_the_later_one_of_its_key, AnswersMachine, "order"),
    (planted.what_waited_put_before_what_is_ready, AnswersMachine, "order"),
    (planted.claims_forgotten_at_any_outcome, TakeoverMachine, "complete"),
]


@pytest.mark.parametrize(("plant", "machine", "promise"), PLANTED, ids=[plant.__name__ for plant, _, _ in PLANTED])
def test_the_machine_finds(plant: Plant, machine: type[Machine], promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    before, began_s = machine.schedules, time.monotonic()
    with pytest.raises(AssertionError, match=f"^({promise}): ") as found:
        run_state_machine_as_test(machine, settings=SEARCH)
    broken = str(found.value).splitlines()[0]
    schedules = machine.schedules - before
    case = Case(IN_THE_MODEL, plant.__name__, fired=1)
    case.figures = {"breaks": broken.partition(":")[0], "in schedules": schedules, "steps of the shortest": len(machine.last)}
    case.keep(True, time.monotonic() - began_s)
    tried = f"{schedules} schedules tried, the shortest that shows it:"
    sys.stdout.write("\n".join(["", f"{plant.__name__}: {broken}; {tried}", *(f"    {line}" for line in machine.last), ""]))
