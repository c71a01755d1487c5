"""The faults' table adds up the newest line of each case, and says so where one did not pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults import table
from tests.faults.memory import Memory
from tests.faults.mistakes import MISTAKES, mistakes
from tests.faults.planted import PLANTS
from tests.model.test_planted import PLANTED

pytestmark = pytest.mark.unit


def line(name: str = "one", **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"fault": "F2", "name": name, "tried": 1, "fired": 1, "contexts": 60, "faults": {}, "seed": 7}
    made |= {"recovery_s": [0.5, 1.5], "figures": {}, "passed": True, "seconds": 3.0}
    made |= {"commit": "abc", "broker": "Kafka 4", "client": "aiokafka 0"}
    return made | fields


def test_only_the_newest_line_of_a_case_counts() -> None:
    assert table.newest([line(contexts=1), line("other"), line(contexts=2)]) == [line(contexts=2), line("other")]


def test_a_row_adds_its_cases_up() -> None:
    faults = {"lost": 1, "waiting": 2, "misordered": 4}
    row = table.row("F2", [line(), line("other", faults=faults, recovery_s=[9.0], passed=False)])
    assert row == "| F2 | killed at a stop point | 2 | 2 | 120 | 3 | 0 | 4 | 0 | 1.5 / 9.0 | 7 | 1 of 2 |  | 6 |"


def test_a_row_says_how_often_the_second_judge_found_no_fault() -> None:
    row = table.row("F2", [line(second_judge="holds"), line("other", second_judge="faults"), line("not asked")])
    assert "| 1 of 2 | 9 |" in row


def test_a_mistake_is_caught_where_all_who_looked_found_it() -> None:
    model = line("auto_commit", fault="model", figures={"atomic": 3})
    kafka = line("test_it_is_found[auto_commit]", fault="planted", figures={"lost": 20})
    assert "| (d) | auto commit | atomic 3 | lost 20 | yes |" in mistakes([model, kafka])
    assert "| (d) | auto commit | atomic 3 | not found | **no** |" in mistakes([model, kafka | {"passed": False}])
    assert "| (d) | auto commit | not tried | lost 20 | **no** |" in mistakes([kafka])
    assert mistakes([model, kafka])[-1] == "Planted mistakes caught: 1 of 11."


def test_every_mistake_of_the_table_is_one_that_is_planted() -> None:
    in_the_model = {plant.__name__ for plant, _, _ in PLANTED} | {"a_fenced_rescuer_that_claims_again_at_once"}
    assert set(MISTAKES.values()) <= in_the_model
    assert set(MISTAKES.values()) == set(PLANTS)


def test_a_fault_that_no_column_names_is_seen_in_what_passed() -> None:
    assert "| 0 of 1 |" in table.row("F2", [line(faults={"late": 1}, passed=False)])


def test_the_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "measurements.md"
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.put(document, "new")
    table.put(document, "newer")
    assert document.read_text() == f"before\n{table.BEGIN}\nnewer\n{table.END}\nafter\n"


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "measurements.md"
    document.write_text("before\n")
    with pytest.raises(SystemExit):
        table.put(document, "new")
    assert document.read_text() == "before\n"


def test_growth_is_between_the_first_and_the_last_tenth_after_the_warm_up() -> None:
    memory = Memory([float(n) for n in range(100)], {"router": [500.0] * 10 + [80.0 + n for n in range(90)]})
    assert memory.growth_mb("router", warm_s=10) == 81.0
