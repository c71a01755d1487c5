"""Which halt counts, and what a halt that nobody can read does."""

from __future__ import annotations

import pytest

from backbone.control import _halt, strictest
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
