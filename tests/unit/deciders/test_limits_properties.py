"""No proposal, whatever it is, yields a decision outside the limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from deciders.limits import Bounds, Limited, clamp
from deciders.sizing import exposure
from schemas.context import ContextEvent
from schemas.decision import Action, Proposed, Status
from schemas.halt import Halt, HaltMode
from schemas.policy import Policy
from schemas.question import Question
from tests.unit.samples import LOGGED_MS, policy, question

pytestmark = pytest.mark.unit

FINITE = st.floats(allow_nan=False, allow_infinity=False)
UNIT = st.floats(min_value=0, max_value=1)
ACTIONS = st.sampled_from(Action)
PROPOSALS = st.builds(
    Proposed,
    action=ACTIONS,
    size_pct=st.none() | FINITE | UNIT,
    stop_loss=st.none() | FINITE | st.floats(min_value=50, max_value=150),
    take_profit=st.none() | FINITE | st.floats(min_value=50, max_value=150),
)
PRICES = st.none() | st.just(100.0) | st.floats(min_value=0, exclude_min=True, allow_infinity=False)
MARKETS = st.fixed_dictionaries(
    {"market": st.sampled_from(["spot", "perp"])},
    optional={
        "price": PRICES,
        "position": FINITE | st.floats(min_value=-20, max_value=20),
        "account": st.fixed_dictionaries({}, optional={"equity": FINITE | st.just(10_000.0)}),
    },
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "max_position_pct": UNIT,
        "allowed_actions": st.lists(ACTIONS, max_size=4),
        "min_confidence": UNIT,
        "require_stop": st.booleans(),
    },
)
HALTS = st.none() | st.builds(Halt, mode=st.sampled_from(HaltMode))
CONFIDENCES = st.none() | UNIT | st.just(float("nan"))
POLICIES = st.sampled_from(
    [
        policy(),
        policy("[limits]\nmax_position_pct = 0.02\nrequire_stop = true\nallowed_actions = ['BUY', 'CLOSE']\n"),
        policy("[limits]\nmax_position_pct = 1.0\ncollar_pct = 0.9\n[models.qwen]\nmin_confidence = 0.0\n"),
        policy("[limits]\ndefault_stop_pct = 0.03\ncollar_pct = 0.03\n[models.qwen]\nmin_confidence = 0.0\n"),
    ]
)
BOUNDS = st.builds(
    Bounds,
    policy=POLICIES,
    model=st.just("qwen"),
    min_confidence=UNIT,
    halt=HALTS,
    now_ms=st.sampled_from([LOGGED_MS, LOGGED_MS + 59_999, LOGGED_MS + 60_000]),
)
BASE = question()


def asking(market: dict[str, Any], limits: dict[str, Any]) -> Question:
    body = {"bot_id": "b", "symbol": "s", "context": market, "risk_limits": limits}
    return replace(BASE, event=ContextEvent.model_validate(body))


def strictest(limits: dict[str, Any], rules: Policy) -> float:
    asked: float = limits.get("max_position_pct", 1.0)
    return min(asked, rules.limits.max_position_pct)


@settings(max_examples=500)
@given(PROPOSALS, CONFIDENCES, MARKETS, LIMITS, BOUNDS)
def test_nothing_goes_out_that_is_outside_the_limits(
    proposed: Proposed, confidence: float | None, market: dict[str, Any], limits: dict[str, Any], bounds: Bounds
) -> None:
    asked = asking(market, limits)
    one = clamp(proposed, confidence, asked, bounds)
    if one.status is not Status.DECIDED:
        assert (one.action, one.size_pct, one.stop_loss, one.take_profit) == (Action.HOLD, 0.0, None, None)
        return
    assert one.action is proposed.action
    assert not asked.is_over(bounds.now_ms)
    assert bounds.halt is None or bounds.halt.mode is HaltMode.REDUCE_ONLY
    if one.action is Action.HOLD:
        assert one.size_pct == 0
        return
    assert confidence is not None
    assert confidence >= one.threshold
    assert one.threshold >= limits.get("min_confidence", 0.0)
    if one.action is Action.CLOSE:
        assert one.size_pct == 1
        return
    check_order(one, asked, limits, bounds)


SURE = st.builds(
    Bounds,
    policy=POLICIES,
    model=st.just("qwen"),
    min_confidence=st.just(0.5),
    halt=st.none() | st.just(Halt(mode=HaltMode.REDUCE_ONLY)),
    now_ms=st.just(LOGGED_MS),
)
ORDERS = st.builds(
    Proposed,
    action=st.sampled_from([Action.BUY, Action.SELL]),
    size_pct=st.none() | st.floats(min_value=0, max_value=0.2),
    stop_loss=st.none() | st.floats(min_value=50, max_value=150),
    take_profit=st.none() | st.floats(min_value=50, max_value=150),
)
HELD = st.fixed_dictionaries(
    {"market": st.sampled_from(["spot", "perp"]), "position": st.floats(min_value=-20, max_value=20)},
    optional={"price": st.just(100.0), "account": st.just({"equity": 10_000.0})},
)
SOME = st.fixed_dictionaries(
    {}, optional={"max_position_pct": st.floats(min_value=0.001, max_value=1), "require_stop": st.booleans()}
)


@settings(max_examples=500)
@given(ORDERS, HELD, SOME, SURE)
def test_no_order_goes_out_that_is_outside_the_limits(
    proposed: Proposed, market: dict[str, Any], limits: dict[str, Any], bounds: Bounds
) -> None:
    asked = asking(market, limits)
    one = clamp(proposed, 1.0, asked, bounds)
    event(f"{one.status} {one.action}")
    if one.status is Status.DECIDED:
        check_order(one, asked, limits, bounds)


def check_order(one: Limited, asked: Question, limits: dict[str, Any], bounds: Bounds) -> None:
    market, most = asked.event.context, strictest(limits, bounds.policy)
    assert one.action in limits.get("allowed_actions", tuple(Action))
    assert one.action in bounds.policy.limits.allowed_actions
    assert 0 < one.size_pct <= most
    up = 1 if one.action is Action.BUY else -1
    if (held := exposure(market)) is not None:
        after = held + up * one.size_pct
        assert abs(after) <= max(most, abs(held)) + 1e-9
        assert abs(after) <= most + 1e-9 or abs(after) < abs(held) or after == pytest.approx(held)
    if one.action is Action.SELL and market.market == "spot":
        assert market.position_size is not None
        assert market.position_size > 0
    if bounds.halt is not None and held is not None:
        assert held * up < 0
        assert one.size_pct <= abs(held)
    check_stops(one, market.price_ref, up, limits, bounds)


def check_stops(one: Limited, price: float | None, up: int, limits: dict[str, Any], bounds: Bounds) -> None:
    for level, side in ((one.stop_loss, -up), (one.take_profit, up)):
        if level is not None:
            assert price is not None
            assert (level - price) * side > 0
            assert abs(level / price - 1) <= bounds.policy.limits.collar_pct
    if limits.get("require_stop") or bounds.policy.limits.require_stop:
        assert one.stop_loss is not None


@settings(max_examples=300)
@given(PROPOSALS, CONFIDENCES, MARKETS, LIMITS, BOUNDS, ACTIONS)
def test_taking_an_action_away_never_makes_another_pass(
    proposed: Proposed,
    confidence: float | None,
    market: dict[str, Any],
    limits: dict[str, Any],
    bounds: Bounds,
    removed: Action,
) -> None:
    allowed = limits.get("allowed_actions", list(Action))
    fewer = {**limits, "allowed_actions": [action for action in allowed if action is not removed]}
    before = clamp(proposed, confidence, asking(market, limits), bounds)
    after = clamp(proposed, confidence, asking(market, fewer), bounds)
    if after.status is Status.DECIDED:
        assert before.status is Status.DECIDED
        assert (after.action, after.size_pct) == (before.action, before.size_pct)


@settings(max_examples=300)
@given(PROPOSALS, UNIT, MARKETS, LIMITS, BOUNDS)
def test_a_close_is_never_blocked_or_shrunk(
    proposed: Proposed, confidence: float, market: dict[str, Any], limits: dict[str, Any], bounds: Bounds
) -> None:
    close = proposed.model_copy(update={"action": Action.CLOSE})
    one = clamp(close, confidence, asking(market, limits), bounds)
    assert one.status is not Status.BLOCKED_BY_RISK
    assert one.status is not Status.DECIDED or one.size_pct == 1


@settings(max_examples=300)
@given(PROPOSALS, UNIT, MARKETS, LIMITS, BOUNDS, UNIT)
def test_a_tighter_limit_never_makes_an_order_larger(
    proposed: Proposed,
    confidence: float,
    market: dict[str, Any],
    limits: dict[str, Any],
    bounds: Bounds,
    share: float,
) -> None:
    tighter = {**limits, "max_position_pct": limits.get("max_position_pct", 1.0) * share}
    wide = clamp(proposed, confidence, asking(market, limits), bounds)
    narrow = clamp(proposed, confidence, asking(market, tighter), bounds)
    assert narrow.size_pct <= wide.size_pct + 1e-9
