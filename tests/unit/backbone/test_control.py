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


def test_a_reply_certifies_the_look_that_found_the_one_before_it() -> None:
    certificate = Certificate()
    certificate.look(1.0, 1_000)
    assert certificate.certified_s < 0, "nothing is known of when the first reply was asked for"
    certificate.look(1.1, 1_100)
    assert certificate.certified_s == 1.0
    certificate.look(1.15, 1_100)
    assert certificate.certified_s == 1.0, "no reply came"


def test_an_old_reply_that_is_read_after_a_pause_certifies_nothing_new() -> None:
    certificate = Certificate()
    certificate.look(1.0, 1_000)
    certificate.look(1.1, 1_100)
    certificate.look(61.1, 61_100)  # asked for before a pause of a minute, read after it
    assert certificate.certified_s == 1.1
    certificate.look(61.2, 61_200)
    assert certificate.certified_s == 61.1
