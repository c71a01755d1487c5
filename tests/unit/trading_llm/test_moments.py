"""A range of time is refused by the option that is wrong, and can be named again later."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from schemas.canonical import rfc3339
from tests.unit.replay.recording import Live, body
from trading_llm.exits import WrongUse
from trading_llm.moments import as_options, span_of
from trading_llm.replays import _listed, _span

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000


def test_a_range_that_was_told_relatively_can_be_named_again() -> None:
    span = span_of("2h", "1h")
    _, since, _, until = as_options(*span).split()
    assert span_of(since, until) == span and span[1] - span[0] == HOUR_MS


def test_a_range_that_is_not_over_yet_is_refused() -> None:
    later = rfc3339(int(time.time() * 1000) + HOUR_MS)
    with pytest.raises(WrongUse, match=f"--to {later}: lies in the future"):
        span_of("1h", later)


@pytest.mark.parametrize(("since", "until"), [("now", None), ("2026-01-31", None), ("2026-01-31T12:00:00", None), ("1h", "2h")])
def test_what_is_no_range_names_the_option(since: str, until: str | None) -> None:
    with pytest.raises(WrongUse, match="--from"):
        span_of(since, until)


def test_an_offset_is_counted_in() -> None:
    assert span_of("2026-01-31T13:00:00+01:00", "2026-01-31T12:30:00Z")[0] == span_of("2026-01-31T12:00:00Z", "1h")[0]


async def test_a_range_that_an_export_does_not_hold_is_refused_and_one_in_it_is_narrowed(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0))
    source = live.put(tmp_path)
    first_ms, end_ms = _span(None, None, source)
    with pytest.raises(WrongUse, match=f"--from, --to: lie outside .*{rfc3339(first_ms)}"):
        _span("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", source)
    assert _span(rfc3339(first_ms + 5), None, source) == (first_ms + 5, end_ms)
    assert _span("2020-01-01T00:00:00Z", rfc3339(end_ms - 5), source) == (first_ms, end_ms - 5)


def test_names_with_commas_may_have_spaces_and_come_once() -> None:
    assert _listed(" BTCUSDT, ETHUSDT,,BTCUSDT ") == ("BTCUSDT", "ETHUSDT")
    assert _listed(None) == ()
