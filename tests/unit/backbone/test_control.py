"""Which halt counts, and what a halt that nobody can read does."""

from __future__ import annotations

import pytest

from backbone.control import Certificate, _halt, strictest
from schemas.halt import Halt, HaltMode

pytestmark = pytest.mark.unit

FULL = Halt(scope="symbol/BTCUSDT")
REDUCING = Halt(scope="all", mode=HaltMode.REDUCE_ONLY)


def test_a_wider_halt_never_loosens_a_narrower_full_one() -> None:
    assert strictest([REDUCING, FULL]) is FULL
    assert strictest([REDUCING]) is REDUCING
    assert strictest([]) is None


@pytest.mark.parametrize("value", [b"null", b"[]", b"1", b'"full"', b"{", b"\xff", b"[" * 100_000])
def test_a_halt_that_cannot_be_read_halts_all_the_same(value: bytes) -> None:
    halt = _halt("all", value)
    assert (halt.scope, halt.mode) == ("all", HaltMode.FULL)
    assert "halt/1" in halt.why


def test_what_was_read_is_confirmed_as_of_when_its_end_was_asked_for() -> None:
    certificate = Certificate()
    assert not certificate.holds(7, 1.0), "nothing was asked"
    certificate.answered(1.0, 7)
    assert certificate.holds(7, 1.4)
    assert not certificate.holds(7, 1.5), "half a second later it is not known what came since"
    assert not certificate.holds(6, 1.4), "one record is there that was not read"


def test_over_a_wire_of_300_ms_there_is_always_a_confirmation() -> None:
    certificate = Certificate()
    arrivals = {round(asked + 0.3, 1): asked for asked in (each / 10 for each in range(20))}
    for tenth in range(3, 20):
        certificate.answered(arrivals[tenth / 10], 7)
        assert certificate.holds(7, tenth / 10 + 0.099), "until the next answer comes"


def test_an_old_answer_that_is_read_after_a_pause_confirms_nothing_new() -> None:
    certificate = Certificate()
    certificate.answered(1.0, 7)
    certificate.answered(1.1, 7)  # asked for before a pause of a minute, read after it
    assert not certificate.holds(7, 61.1)
    certificate.answered(61.1, 8)
    assert not certificate.holds(7, 61.2), "what came in the pause is not read"
    assert certificate.holds(8, 61.2)


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    certificate = Certificate()
    certificate.answered(1.1, 8)
    certificate.answered(1.0, 7)
    assert not certificate.holds(7, 1.2)
