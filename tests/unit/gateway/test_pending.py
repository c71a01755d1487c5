"""Who waits for which outcome, and what is remembered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.outcome import Answered, Dead
from gateway.pending import Full, Pending
from gateway.seen import Seen
from schemas.source import Source

pytestmark = pytest.mark.unit

IDS = ("bot", "BTCUSDT", "one")


def answered(offset: int = 1, ids: tuple[str, str, str] = IDS, value: bytes = b"{}") -> Answered:
    return Answered(Source("contexts", 0, offset), ids, "digest", "phi3", "DECIDED", "BUY", value, 0)


async def test_who_waits_is_woken_by_the_outcome_of_its_record() -> None:
    pending = Pending(Seen())
    waiting = asyncio.create_task(pending.outcome(answered().src, 10))
    await asyncio.sleep(0)
    pending.came(answered())
    assert await waiting == answered()


async def test_an_outcome_that_came_before_anybody_waited_is_not_missed() -> None:
    pending = Pending(Seen())
    pending.came(answered())
    assert await pending.outcome(answered().src, 10) == answered()


async def test_a_decision_wakes_who_waits_for_its_name() -> None:
    pending = Pending(Seen())
    waiting = [asyncio.create_task(pending.outcome(IDS, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    pending.came(answered())
    assert await asyncio.gather(*waiting) == [answered()] * 3


async def test_a_dead_letter_answers_its_record_and_no_name() -> None:
    pending = Pending(Seen())
    dead = Dead(Source("contexts", 0, 2), "duplicate_context_id", "")
    pending.came(dead)
    assert await pending.outcome(dead.src, 10) == dead
    assert pending.named(IDS) is None


async def test_waiting_ends_with_nothing_when_its_time_is_over() -> None:
    pending = Pending(Seen())
    assert await pending.outcome(answered().src, 0.01) is None
    assert pending._waiting == {}


async def test_who_gives_up_leaves_nothing_behind() -> None:
    pending = Pending(Seen())
    waiting = asyncio.create_task(pending.outcome(IDS, 10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert pending._waiting == {}


def test_no_more_wait_than_may() -> None:
    pending = Pending(Seen(), waiting_max=1)
    with pending.place():
        with pytest.raises(Full), pending.place():
            pass
        assert pending.taken == 1
    assert pending.taken == 0


def test_the_oldest_outcomes_are_forgotten_when_there_are_too_many() -> None:
    seen = Seen(outcomes_max=3)
    for offset in range(5):
        seen.add(answered(offset, ("bot", "BTCUSDT", str(offset))))
    assert len(seen) == 3
    assert seen.of(Source("contexts", 0, 1)) is None
    assert seen.named(("bot", "BTCUSDT", "1")) is None
    assert seen.named(("bot", "BTCUSDT", "4")) is not None


def test_the_oldest_outcomes_are_forgotten_when_they_are_too_large() -> None:
    seen = Seen(bytes_max=10_000)
    for offset in range(5):
        seen.add(answered(offset, ("bot", "BTCUSDT", str(offset)), value=b"x" * 3_000))
    assert len(seen) == 2


def test_a_name_keeps_its_first_decision() -> None:
    seen = Seen()
    seen.add(answered(1, value=b"first"))
    seen.add(answered(2, value=b"second"))
    found = seen.named(IDS)
    assert found is not None and found.value == b"first"


def test_forgetting_a_later_record_of_a_name_keeps_the_name() -> None:
    seen = Seen(outcomes_max=2)
    for offset in (1, 2):
        seen.add(answered(offset))
    seen.add(answered(3, ("bot", "BTCUSDT", "other")))
    assert seen.named(IDS) is None  # its first decision was the oldest
    assert seen.of(Source("contexts", 0, 2)) is not None
