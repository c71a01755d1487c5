"""When a decision acts, in the market's time: live, replayed from a record, and asked again long after."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.orders import order_of
from schemas.canonical import rfc3339
from schemas.decision import Action, Decision, Status
from tests.unit.backtest.decisions import AS_OF_MS, acting

pytestmark = pytest.mark.unit

YEARS_MS = 4 * 365 * 86_400_000


def lived(as_of_ms: int, decided_ms: int, until_ms: int, **timings: Any) -> tuple[int, int]:
    """What this decision's order makes of its times."""
    base = acting()
    told = base.timings_ms.model_copy(update=timings)
    times = {"as_of": rfc3339(as_of_ms), "decided_at": rfc3339(decided_ms), "valid_until": rfc3339(until_ms)}
    order = order_of(base.model_copy(update=times | {"timings_ms": told}))
    return order.moment_ms, order.until_ms


def test_what_was_decided_in_its_time_acts_from_then_until_it_was_over() -> None:
    assert lived(AS_OF_MS, AS_OF_MS + 800, AS_OF_MS + 60_000) == (AS_OF_MS + 800, AS_OF_MS + 60_000)


def test_history_that_was_asked_about_later_acts_as_long_after_it_as_the_model_took() -> None:
    found = lived(AS_OF_MS, AS_OF_MS + YEARS_MS, AS_OF_MS + 60_000, waited=90_000.0, answered=700.0)
    assert found == (AS_OF_MS + 700, AS_OF_MS + 60_000), "its place in the queue says nothing"


def test_history_that_was_told_live_lives_as_long_as_it_would_have() -> None:
    decided_ms = AS_OF_MS + YEARS_MS
    assert lived(AS_OF_MS, decided_ms, decided_ms + 59_000, answered=600.0, total=1_000.0) == (AS_OF_MS + 600, AS_OF_MS + 60_000)


def test_an_order_says_what_the_decision_said() -> None:
    decision: Decision = acting(action=Action.SELL, size_pct=0.25, stop_loss=110.0, take_profit=80.0)
    assert decision.status is Status.DECIDED and decision.model is not None
    order = order_of(decision)
    assert (order.action, order.size, order.stop, order.target) == (Action.SELL, 0.25, 110.0, 80.0)
    assert (order.account, order.model, order.cutoff) == ((decision.bot_id, decision.symbol), "phi3", decision.model.cutoff)
    assert (order.decision_id, order.price, order.as_of_ms) == (decision.decision_id, decision.price_ref, AS_OF_MS)
