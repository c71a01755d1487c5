"""How many questions wait at a model: the newest words, and what happened since."""

from __future__ import annotations

import pytest

from router.waiting import Waiting
from schemas.status import Heartbeat, WorkerState

pytestmark = pytest.mark.unit


def beat(ordinal: int, **more: object) -> Heartbeat:
    own = {"process": f"w{ordinal}", "model": "phi3", "at_ms": 1, "started_at_ms": 1, "state": WorkerState.READY}
    return Heartbeat.model_validate(own | {"concurrency": 16} | more)


def test_what_its_workers_say_is_added_up() -> None:
    waiting = Waiting()
    waiting.beats([beat(0, queue=3, in_flight=16, service_ms=100.0), beat(1, in_flight=5, service_ms=300.0)])
    assert (waiting.questions, waiting.concurrency, waiting.service_ms) == (24, 32, 200.0)


def test_what_was_sent_counts_until_the_next_heartbeat() -> None:
    waiting = Waiting()
    waiting.beats([beat(0, in_flight=2)])
    waiting.sent()
    assert waiting.questions == 3
    waiting.beats([beat(0, in_flight=1)])
    assert waiting.questions == 1


def test_what_no_worker_has_read_yet_is_known_from_kafka() -> None:
    waiting = Waiting()
    waiting.beats([beat(0, in_flight=16)])
    waiting.looked(5_000)
    waiting.sent()
    waiting.ended()
    waiting.ended()
    assert waiting.questions == 4_999
    waiting.looked(0)
    for _ in range(20):
        waiting.ended()
    assert waiting.questions == 17, "the count never falls below zero"
