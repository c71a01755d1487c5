"""How many questions wait at a model: the newest words, and what happened since."""

from __future__ import annotations

import pytest

from router.waiting import SERVICE_KNOWN_MS, Waiting
from schemas.status import Heartbeat, WorkerState

pytestmark = pytest.mark.unit

NOW_MS = 1_764_000_000_000


def beat(ordinal: int, **more: object) -> Heartbeat:
    own = {"process": f"w{ordinal}", "model": "phi3", "at_ms": 1, "started_at_ms": 1, "state": WorkerState.READY}
    return Heartbeat.model_validate(own | {"concurrency": 16} | more)


def test_what_its_workers_say_is_added_up() -> None:
    waiting = Waiting()
    waiting.beats([beat(0, queue=3, in_flight=16, service_ms=100.0), beat(1, in_flight=5, service_ms=300.0)], NOW_MS)
    assert (waiting.questions, waiting.concurrency, waiting.service_ms) == (24, 32, 200.0)


def test_what_was_sent_counts_until_the_next_heartbeat() -> None:
    waiting = Waiting()
    waiting.beats([beat(0, in_flight=2)], NOW_MS)
    waiting.sent()
    assert waiting.questions == 3
    waiting.beats([beat(0, in_flight=1)], NOW_MS)
    assert waiting.questions == 1


def test_what_no_worker_has_read_yet_is_known_from_kafka() -> None:
    waiting = Waiting()
    waiting.beats([beat(0, in_flight=16)], NOW_MS)
    waiting.looked(5_000)
    waiting.sent()
    waiting.ended(NOW_MS)
    waiting.ended(NOW_MS)
    assert waiting.questions == 4_999
    waiting.looked(0)
    for _ in range(20):
        waiting.ended(NOW_MS)
    assert waiting.questions == 17, "the count never falls below zero"


def test_how_long_an_answer_takes_is_known_as_long_as_there_are_answers() -> None:
    waiting = Waiting()
    assert waiting.service_ms_at(NOW_MS) is None
    waiting.beats([beat(0, service_ms=100.0)], NOW_MS)
    waiting.beats([beat(0, service_ms=100.0)], NOW_MS + SERVICE_KNOWN_MS)  # it says so again, and has answered nothing
    assert waiting.service_ms_at(NOW_MS + SERVICE_KNOWN_MS) == 100.0
    assert waiting.service_ms_at(NOW_MS + SERVICE_KNOWN_MS + 1) is None
    waiting.ended(NOW_MS + 2 * SERVICE_KNOWN_MS)
    assert waiting.service_ms_at(NOW_MS + 3 * SERVICE_KNOWN_MS) == 100.0
    waiting.beats([beat(0, service_ms=120.0)], NOW_MS + 4 * SERVICE_KNOWN_MS)
    assert waiting.service_ms_at(NOW_MS + 5 * SERVICE_KNOWN_MS) == 120.0
