"""What an answer usually takes is what this worker measured of its kind lately."""

from __future__ import annotations

import pytest

from workers.service_times import FLOOR_MS, KNOWN_AFTER, REMEMBERED_MODE, ServiceTimes

pytestmark = pytest.mark.unit


def noted(*took_ms: float, turns: float = 1.0) -> ServiceTimes:
    times = ServiceTimes()
    for each in took_ms:
        times.note("full", each, turns)
    return times


def test_before_enough_answers_only_the_floor_is_known() -> None:
    assert ServiceTimes().median_ms() is None
    assert noted(*[900.0] * (KNOWN_AFTER - 1)).needed_ms("full") == FLOOR_MS
    assert noted(*[900.0] * KNOWN_AFTER).needed_ms("full") == 900.0


def test_a_sentence_says_nothing_of_one_token() -> None:
    times = noted(*[900.0] * 100)
    assert times.needed_ms("label") == FLOOR_MS
    assert times.median_ms() == 900.0


def test_nothing_is_answered_in_less_than_the_floor() -> None:
    assert noted(*[0.1] * 100).needed_ms("full") == FLOOR_MS


def test_waiting_inside_the_engine_is_no_service() -> None:
    assert noted(*[900.0] * 100, turns=2.0).needed_ms("full") == 450.0
    assert noted(*[900.0] * 100, turns=0.25).needed_ms("full") == 900.0


def test_a_model_that_became_quicker_is_believed_soon() -> None:
    assert noted(*[900.0] * 500, *[50.0] * (REMEMBERED_MODE // 2 + 1)).needed_ms("full") == 50.0
