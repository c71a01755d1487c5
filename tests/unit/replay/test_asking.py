"""What came of contexts that are asked again, where a kill hid from one run what it had asked already."""

from __future__ import annotations

import pytest

from replay.asking import REPLAYS, _Asking
from schemas import headers as names
from schemas.origin import Origin
from schemas.record import Record
from schemas.refusal import Reason
from schemas.size import KEY_BYTES_MAX, VALUE_BYTES_MAX
from schemas.source import Source

pytestmark = pytest.mark.unit

SRC = Source("contexts", 0, 7)
ORIGIN = str(Origin(SRC, 5))


def record(topic: str, offset: int, reason: str | None = None) -> Record:
    told = ((names.RUN_ID, b"run"), (names.ORIGIN, ORIGIN.encode()))
    return Record(Source(topic, 0, offset), None, b"{}", told if reason is None else (*told, (names.REASON, reason.encode())), 5)


def asked(times: int) -> _Asking:
    own = _Asking("run", {ORIGIN: SRC}, lambda done: None)
    for number in range(times):
        own.asked_before(record(REPLAYS.contexts, number))
    return own


@pytest.mark.parametrize("first", ["decision", "repeat"])
def test_the_decision_stands_whether_it_or_the_dead_letter_of_its_repeat_is_read_first(first: str) -> None:
    own, decision = asked(2), record(REPLAYS.decisions, 0)
    repeat = record(REPLAYS.dead_letters, 0, Reason.DUPLICATE_CONTEXT_ID)
    for each in (decision, repeat) if first == "decision" else (repeat, decision):
        own.came(each)
    assert own.outcomes == {SRC: decision}


def test_what_was_a_repeat_before_it_was_asked_again_comes_to_its_dead_letter() -> None:
    repeats = [record(REPLAYS.dead_letters, number, Reason.DUPLICATE_CONTEXT_ID) for number in range(2)]
    once, twice = asked(1), asked(2)
    once.came(repeats[0])
    assert once.outcomes == {SRC: repeats[0]}
    for each in repeats:
        twice.came(each)
    assert twice.outcomes == {SRC: repeats[1]}


@pytest.mark.parametrize(("key", "value"), [(None, b"x" * (VALUE_BYTES_MAX + 1)), (b"k" * (KEY_BYTES_MAX + 1), b"{}")])
async def test_what_was_too_large_to_be_a_question_is_asked_of_nobody(key: bytes | None, value: bytes) -> None:
    own = asked(0)
    await own.run(None, [Record(SRC, key, value, (), 5)])  # without a producer: whoever sent it would raise
    assert own.outcomes[SRC].source.topic == REPLAYS.dead_letters
