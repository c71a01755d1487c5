"""What of a proposal may go out: each limit by itself, and their order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deciders.limits import Bounds, Limited, clamp, terms
from schemas.decision import Clamp, Proposed, Status
from schemas.halt import TRADING_DISABLED, Halt, HaltMode
from schemas.policy import Policy
from tests.unit.samples import LOGGED_MS, policy, question

pytestmark = pytest.mark.unit

BOUNDS = Bounds(policy(), "qwen", 0.7, None, LOGGED_MS + 10)
REDUCE_ONLY = Halt(mode=HaltMode.REDUCE_ONLY, why="maintenance")
FLAT = {"price": 100.0, "has_position": False}
LONG = {"price": 100.0, "position": 2.0, "account": {"equity": 10_000}}  # 2 % of equity
SHORT = {"price": 100.0, "position": -2.0, "account": {"equity": 10_000}, "market": "perp"}


def judged(
    action: str,
    context: dict[str, Any] | None = None,
    *,
    confidence: float | None = 0.9,
    bounds: Bounds = BOUNDS,
    said: dict[str, Any] | None = None,
    **fields: Any,
) -> Limited:
    fields.setdefault("risk_limits", None)
    proposed = Proposed.model_validate({"action": action, "size_pct": 0.05, **(said or {})})
    return clamp(proposed, confidence, question(FLAT if context is None else context, **fields), bounds)


def noted(limited: Limited) -> dict[str, Clamp]:
    return {one.limit: one for one in limited.clamps}


def test_what_is_inside_every_limit_stands_as_it_is() -> None:
    one = judged("BUY", said={"stop_loss": 95.0, "take_profit": 110.0})
    assert (one.status, one.action, one.size_pct, one.stop_loss, one.take_profit) == (
        Status.DECIDED,
        "BUY",
        0.05,
        95.0,
        110.0,
    )
    assert (one.clamps, one.reason, one.threshold) == ((), None, 0.7)


def test_a_hold_is_nothing_and_is_never_gated_by_confidence() -> None:
    one = judged("HOLD", confidence=0.0, said={"stop_loss": 95.0})
    assert (one.status, one.action, one.size_pct, one.stop_loss) == (Status.DECIDED, "HOLD", 0.0, None)


@pytest.mark.parametrize("action", ["BUY", "SELL", "CLOSE"])
@pytest.mark.parametrize("confidence", [0.69, 0.0, None, float("nan")])
def test_what_is_not_sure_enough_is_an_abstention(action: str, confidence: float | None) -> None:
    one = judged(action, LONG, confidence=confidence)
    assert (one.status, one.action, one.size_pct) == (Status.ABSTAINED_LOW_CONFIDENCE, "HOLD", 0.0)


def asked_for(rules: Policy, model: str, rule: str | None = None, **risk_limits: float) -> float:
    """The threshold for what this rule routed and this model answered, where MIN_LLM_CONFIDENCE is 0.7."""
    return terms(question(risk_limits=risk_limits), Bounds(rules, model, 0.7, None, LOGGED_MS, rule)).threshold


def test_the_threshold_is_global_replaced_by_the_models_own_that_by_the_rules_and_tightened_by_the_bot() -> None:
    own = "[models.qwen]\nmin_confidence = 0.4\n"
    ruled = policy(f'{own}[[rules]]\nname = "large"\nwhen = ["has_position"]\nmodel = "qwen"\nmin_confidence = 0.5\n')
    assert asked_for(policy(), "qwen") == 0.7
    assert asked_for(policy(own), "qwen") == 0.4
    assert asked_for(policy(own), "phi3") == 0.7
    assert asked_for(ruled, "qwen", "large") == 0.5
    assert asked_for(ruled, "qwen", "volatility") == 0.4
    assert [asked_for(ruled, "qwen", rule) for rule in ("default", "preference", "router:Own", None)] == [0.4] * 4
    assert [asked_for(ruled, "qwen", "large", min_confidence=own) for own in (0.45, 0.8)] == [0.5, 0.8]
    assert judged("BUY", confidence=0.8, risk_limits={"min_confidence": 0.8}).status is Status.DECIDED


def test_a_rules_threshold_holds_for_whichever_model_answers_what_it_routed() -> None:
    rules = policy('[[rules]]\nname = "large"\nwhen = ["has_position"]\nmodel = "qwen"\nmin_confidence = 0.9\n')
    bounds = replace(BOUNDS, policy=rules, model="deepseek", rule="large")
    assert judged("BUY", confidence=0.85, bounds=bounds).status is Status.ABSTAINED_LOW_CONFIDENCE
    assert judged("BUY", confidence=0.85, bounds=replace(bounds, rule="default")).status is Status.DECIDED


def test_a_bot_may_only_tighten_and_is_told_where_the_policy_stands() -> None:
    limits = {"max_position_pct": 0.5, "min_confidence": 0.1, "require_stop": False, "allowed_actions": ["SELL", "BUY"]}
    strict = policy("[limits]\nrequire_stop = true\nallowed_actions = ['BUY', 'HOLD']\n")
    one = judged("BUY", bounds=replace(BOUNDS, policy=strict), risk_limits=limits, said={"stop_loss": 95.0})
    assert noted(one) == {
        "max_position_pct": Clamp(limit="max_position_pct", before=0.5, after=0.1),
        "allowed_actions": Clamp(limit="allowed_actions", before=("SELL", "BUY"), after=("BUY",)),
        "require_stop": Clamp(limit="require_stop", before=False, after=True),
        "min_confidence": Clamp(limit="min_confidence", before=0.1, after=0.7),
    }


def test_a_list_of_actions_that_repeats_itself_is_noted_once() -> None:
    strict = policy("[limits]\nallowed_actions = ['BUY']\n")
    bounds = replace(BOUNDS, policy=strict)
    one = judged("BUY", bounds=bounds, risk_limits={"allowed_actions": ["BUY", "SELL"] * 1_000})
    assert noted(one)["allowed_actions"].before == ("BUY", "SELL")


@pytest.mark.parametrize("action", ["BUY", "SELL", "HOLD"])
def test_an_action_that_is_not_allowed_is_blocked_and_no_other_takes_its_place(action: str) -> None:
    allowed = [other for other in ("BUY", "SELL", "HOLD", "CLOSE") if other != action]
    one = judged(action, LONG, risk_limits={"allowed_actions": allowed})
    assert (one.status, one.action) == (Status.BLOCKED_BY_RISK, "HOLD")
    assert (one.reason or "").startswith(f"allowed_actions: {action} is not allowed")


@pytest.mark.parametrize("context", [LONG, SHORT, {"has_position": True}, {}])
def test_a_close_is_all_of_the_position_whatever_size_actions_and_stops_say(context: dict[str, Any]) -> None:
    limits = {"max_position_pct": 0, "allowed_actions": [], "require_stop": True}
    one = judged("CLOSE", context, risk_limits=limits, said={"size_pct": 0, "stop_loss": 1.0})
    assert (one.status, one.action, one.size_pct, one.stop_loss) == (Status.DECIDED, "CLOSE", 1.0, None)


def test_a_close_of_what_nobody_knows_says_so() -> None:
    assert "position_unknown" in noted(judged("CLOSE", {}))
    assert judged("CLOSE", LONG).clamps == ()


@pytest.mark.parametrize("context", [FLAT, {"price": 100.0}, {"price": 100.0, "position": -1.0}])
def test_on_spot_a_sell_needs_a_position_that_is_known(context: dict[str, Any]) -> None:
    one = judged("SELL", context)
    assert one.status is Status.BLOCKED_BY_RISK
    assert (one.reason or "").startswith("context.position: a SELL on spot needs one")


def test_on_spot_a_sell_is_at_most_what_is_held() -> None:
    one = judged("SELL", LONG)
    assert (one.status, one.size_pct) == (Status.DECIDED, 0.02)
    assert noted(one)["position_held"] == Clamp(limit="position_held", before=0.05, after=0.02)


def test_on_perp_a_sell_may_open_a_short() -> None:
    assert judged("SELL", {**FLAT, "market": "perp"}).size_pct == 0.05


@pytest.mark.parametrize(("asked", "left"), [(0.5, 0.1), (0.1, 0.1), (1.5, 0.1)])
def test_an_order_is_at_most_the_limit(asked: float, left: float) -> None:
    assert judged("BUY", said={"size_pct": asked}).size_pct == left


def test_the_position_after_an_order_is_at_most_the_limit() -> None:
    one = judged("BUY", {**LONG, "position": 8.0})
    assert one.size_pct == pytest.approx(0.02)
    assert "position_after" in noted(one)
    full = judged("BUY", {**LONG, "position": 10.0})
    assert (full.status, full.action) == (Status.BLOCKED_BY_RISK, "HOLD")
    assert "already is 0.1 of equity" in (full.reason or "")


def test_an_order_against_the_position_is_bounded_only_by_itself() -> None:
    deep = {**SHORT, "position": -500.0}
    assert judged("BUY", deep).size_pct == 0.05
    assert judged("SELL", deep).status is Status.BLOCKED_BY_RISK


@pytest.mark.parametrize("context", [{"price": 100.0}, {"price": 100.0, "position": 1.0}, {"position": 1.0}])
def test_where_the_position_cannot_be_weighed_the_order_is_bounded_and_it_is_noted(context: dict[str, Any]) -> None:
    one = judged("BUY", context, said={"size_pct": 0.5})
    assert (one.status, one.size_pct) == (Status.DECIDED, 0.1)
    assert "position_unknown" in noted(one)


def test_without_equity_nothing_is_added() -> None:
    one = judged("BUY", {**LONG, "account": {"equity": 0}})
    assert (one.status, (one.reason or "")[:22]) == (Status.BLOCKED_BY_RISK, "context.account.equity")
    assert judged("SELL", {**LONG, "account": {"equity": 0}}).status is Status.DECIDED


def test_a_model_that_names_no_size_gets_the_policys() -> None:
    one = judged("BUY", said={"size_pct": None})
    assert (one.size_pct, noted(one)["default_size_pct"].after) == (0.01, 0.01)


@pytest.mark.parametrize(
    ("said", "limits", "reason"),
    [
        ({"size_pct": 0.0}, None, "size_pct: the model proposed none"),
        ({"size_pct": -1.0}, None, "size_pct: the model proposed none"),
        ({}, {"max_position_pct": 0}, "max_position_pct: it allows none"),
    ],
)
def test_an_order_of_nothing_is_blocked(said: dict[str, Any], limits: dict[str, Any] | None, reason: str) -> None:
    one = judged("BUY", said=said, risk_limits=limits)
    assert (one.status, one.reason) == (Status.BLOCKED_BY_RISK, reason)


@pytest.mark.parametrize(
    ("action", "context", "said", "stop", "target"),
    [
        ("BUY", FLAT, {"stop_loss": 101.0, "take_profit": 99.0}, 98.0, 102.0),
        ("BUY", FLAT, {"stop_loss": 100.0, "take_profit": 100.0}, 98.0, 102.0),
        ("BUY", FLAT, {"stop_loss": 79.9, "take_profit": 120.1}, 98.0, 102.0),
        ("BUY", FLAT, {"stop_loss": -5.0}, 98.0, None),
        ("BUY", FLAT, {"stop_loss": 81.0, "take_profit": 119.0}, 81.0, 119.0),
        ("SELL", SHORT, {"stop_loss": 99.0, "take_profit": 101.0}, 102.0, 98.0),
        ("SELL", SHORT, {"stop_loss": 103.0, "take_profit": 97.0}, 103.0, 97.0),
        ("BUY", {}, {"stop_loss": 99.0, "take_profit": 101.0}, None, None),
    ],
)
def test_a_stop_that_cannot_stand_is_replaced_and_noted(
    action: str, context: dict[str, Any], said: dict[str, Any], stop: float | None, target: float | None
) -> None:
    one = judged(action, context, said=said)
    assert (one.stop_loss, one.take_profit) == (stop, target)
    changed = {limit for limit, after in (("stop_loss", stop), ("take_profit", target)) if said.get(limit) != after}
    assert changed == noted(one).keys() - {"position_unknown"}


def test_a_stop_that_is_required_is_set_or_the_order_is_blocked() -> None:
    set_ = judged("BUY", risk_limits={"require_stop": True})
    assert (set_.stop_loss, noted(set_)["require_stop"].after) == (98.0, 98.0)
    none = judged("BUY", {"has_position": False}, risk_limits={"require_stop": True})
    assert none.status is Status.BLOCKED_BY_RISK
    assert (none.reason or "").startswith("require_stop: ")


@pytest.mark.parametrize("action", ["BUY", "SELL", "HOLD", "CLOSE"])
def test_a_full_halt_lets_nothing_out(action: str) -> None:
    one = judged(action, LONG, bounds=replace(BOUNDS, halt=TRADING_DISABLED))
    assert (one.status, one.action, one.halt) == (Status.HALTED, "HOLD", TRADING_DISABLED)
    assert "ENABLE_LLM_TRADING is false" in (one.reason or "")


@pytest.mark.parametrize(
    ("action", "context", "status", "size"),
    [
        ("CLOSE", LONG, Status.DECIDED, 1.0),
        ("HOLD", FLAT, Status.DECIDED, 0.0),
        ("SELL", LONG, Status.DECIDED, 0.02),
        ("BUY", SHORT, Status.DECIDED, 0.02),
        ("SELL", {"has_position": True}, Status.DECIDED, 0.05),
        ("BUY", LONG, Status.HALTED, 0.0),
        ("SELL", SHORT, Status.HALTED, 0.0),
        ("BUY", {"position": -1.0, "market": "perp"}, Status.HALTED, 0.0),
        ("BUY", FLAT, Status.HALTED, 0.0),
    ],
)
def test_a_halt_that_lets_only_reducing_actions_out_does_so(
    action: str, context: dict[str, Any], status: Status, size: float
) -> None:
    one = judged(action, context, bounds=replace(BOUNDS, halt=REDUCE_ONLY))
    assert (one.status, one.size_pct) == (status, size)


def test_time_goes_before_halts_and_halts_before_confidence() -> None:
    late = replace(BOUNDS, halt=TRADING_DISABLED, now_ms=LOGGED_MS + 60_000)
    assert judged("BUY", bounds=late).status is Status.EXPIRED
    assert judged("HOLD", bounds=late, confidence=0.0).status is Status.EXPIRED
    halted = replace(BOUNDS, halt=TRADING_DISABLED)
    assert judged("BUY", bounds=halted, confidence=0.0).status is Status.HALTED
    assert judged("BUY", confidence=0.0, risk_limits={"allowed_actions": []}).status is Status.ABSTAINED_LOW_CONFIDENCE
