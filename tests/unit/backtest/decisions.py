"""Decisions that act, and folders of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from replay import shelf
from replay.shelf import Book
from schemas.action import Action
from schemas.canonical import parse_rfc3339, rfc3339
from schemas.decision import Decision, Status, decision_output
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DECISIONS
from tests.unit.backtest.markets import FIRST_MS
from tests.unit.workers.test_ask import asker, tagged

AS_OF_MS = FIRST_MS
TTL_MS = 60_000


@cache
def _base() -> Decision:
    result = asyncio.run(asker().decide(tagged()))
    assert result.decision is not None
    return result.decision


def acting(as_of_ms: int = AS_OF_MS, cutoff: str = "past_cutoff", **fields: Any) -> Decision:
    """A decision that buys, made in its time; `fields` over it."""
    base = _base()
    assert base.model is not None
    own: dict[str, Any] = {
        "status": Status.DECIDED, "action": Action.BUY, "size_pct": 0.1, "as_of": rfc3339(as_of_ms),
        "decided_at": rfc3339(as_of_ms + 1), "valid_until": rfc3339(as_of_ms + TTL_MS),
        "model": base.model.model_copy(update={"cutoff": cutoff}),
    }  # fmt: skip
    return base.model_copy(update=own | fields)


def put(folder: Path, decisions: Sequence[Decision]) -> Path:
    """These as a run keeps them, by day."""
    for number, decision in enumerate(decisions):
        source = Source(CONTEXTS, 0, number)
        output = decision_output(Record(source, b"k", b"", (), 0), source, decision)
        record = Record(source, output.key, output.value, output.headers, parse_rfc3339(decision.decided_at))
        shelf.put(folder, Book(DECISIONS, shelf.day_of(record.timestamp_ms), 0, number), [record], number + 1)
    return folder
