"""What of a bot's headers goes on, and what it may not say."""

from __future__ import annotations

import pytest

from schemas import headers as names
from schemas.headers import header, header_text, passed_on
from schemas.topic import Side

pytestmark = pytest.mark.unit

FORGED = (
    (names.SRC, b"contexts/0/0"),
    (names.ROUTE, b"{}"),
    (names.RUN_ID, b"r"),
    (names.TRACEPARENT, b"t"),
    ("own", b"o"),
)


def test_reserved_names_of_a_bot_are_dropped_on_arrival() -> None:
    assert passed_on(FORGED) == ((names.TRACEPARENT, b"t"), ("own", b"o"))


def test_a_replay_keeps_its_run() -> None:
    assert (names.RUN_ID, b"r") in passed_on(FORGED, Side.REPLAYS)


def test_the_last_of_equal_headers_counts() -> None:
    twice = (("a", b"1"), ("a", b"\xff"))
    assert header(twice, "a") == b"\xff"
    assert header_text(twice, "a") == "�"
    assert header(twice, "b") is None
    assert header_text(twice, "b") is None
    assert passed_on(((names.TRACEPARENT, b"1"), (names.TRACEPARENT, b"2"))) == ((names.TRACEPARENT, b"2"),)


def test_a_bots_headers_go_on_up_to_16_KiB_in_their_order() -> None:  # noqa: N802 - the unit's name
    fits = ("a", b"x" * 8_000), ("b", b"x" * 8_000)
    assert passed_on((*fits, ("c", b"x" * 8_000), ("d", b""))) == fits
