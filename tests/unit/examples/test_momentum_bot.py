"""The example bot: what it sees, when it asks, and what it makes of a decision."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest

from deciders.features import compute_features
from deciders.fleet import Fleet
from deciders.routing import Chosen, choose_model
from examples.momentum_bot import MARKET_DATA, Bar, MomentumBot, bots, look, read_bars
from schemas.canonical import rfc3339
from schemas.context import read_event
from schemas.decision import Action, Decision, Status
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.route import Route
from schemas.source import Source

pytestmark = pytest.mark.unit

MODELS = ("deepseek", "qwen", "fingpt", "phi3")
NOW_MS = 1_790_000_000_000
FLAT = [Bar(1_700_000_040_000 + n * 60_000, 100.0, 100.0, 100.0, 100.0, 10.0) for n in range(120)]


def policy() -> Policy:
    """The default policy, as it is shipped."""
    from backbone.settings import Settings

    return Policy.from_toml(Settings().policy.read_text(encoding="utf-8"))


def decision(bot: MomentumBot, action: Action, **more: object) -> Decision:
    own = {
        "decision_id": "d",
        "context_id": "c",
        "content_digest": "x",
        "bot_id": bot.bot_id,
        "symbol": bot.symbol,
        "horizon_s": 900,
        "status": Status.DECIDED,
        "action": action,
        "size_pct": 0.1 if action in (Action.BUY, Action.SELL) else 0.0,
        "route": Route(),
        "price_ref": 100.0,
        "as_of": rfc3339(NOW_MS),
        "decided_at": rfc3339(NOW_MS),
        "valid_until": rfc3339(NOW_MS + 60_000),
    }
    return Decision.model_validate(own | more)


def test_every_question_of_the_demo_stands_the_contract_and_no_rule_starves() -> None:
    rules, chosen = policy(), Counter[str]()
    for bot in bots():
        for _ in range(25):
            event = bot.question()
            assert event is not None
            value = json.dumps(event).encode()
            record = Record(Source("contexts", 0, 0), None, value, (), NOW_MS)
            asked = resolve(read_event(value, NOW_MS), record, rules)
            features = compute_features(asked.event.context, rules.features)
            choice = choose_model(asked, features, rules, Fleet(running=MODELS), MODELS)
            assert isinstance(choice, Chosen)
            chosen[choice.model] += 1
    assert sum(chosen.values()) == 300
    assert all(chosen[model] >= 45 for model in MODELS), chosen


def test_the_bot_and_the_rules_compute_the_same_from_the_same_candles() -> None:
    bot = bots()[0]
    for _ in range(10):
        event = bot.question()
        assert event is not None
        told = event["context"]
        market = read_event(json.dumps(event).encode(), NOW_MS).context
        bare = market.model_copy(update={"volume_ratio": None, "volatility": None})
        found = compute_features(bare, policy().features)
        assert found.volume_ratio == pytest.approx(told["volume_ratio"], abs=1e-4)
        assert found.volatility == pytest.approx(told["volatility"], abs=1e-4)


def test_a_flat_market_has_usual_volume_no_volatility_and_no_sentiment() -> None:
    sight = look(FLAT[:30])
    assert (sight.volume_ratio, sight.volatility, sight.sentiment) == (1.0, 0.0, 0.0)
    assert not sight.stands_out


def test_the_sentiment_proxy_follows_the_closes() -> None:
    rising = [bar._replace(c=100.0 + n) for n, bar in enumerate(FLAT[:30])]
    falling = [bar._replace(c=200.0 - n) for n, bar in enumerate(FLAT[:30])]
    assert (look(rising).sentiment, look(falling).sentiment) == (1.0, -1.0)


def test_a_context_carries_closed_bars_only() -> None:
    bot = bots()[0]
    event = bot.question()
    assert event is not None
    last_ms = event["context"]["candles"][-1][0]
    assert event["as_of"] == rfc3339(last_ms + 60_000)
    assert event["context"]["price"] == event["context"]["candles"][-1][4]


def test_the_questions_end_with_the_candles() -> None:
    bot = MomentumBot("bot", "X", FLAT[:33], 30)
    assert sum(bot.question() is not None for _ in range(10)) <= 3


def test_buying_selling_and_closing_move_the_paper_position() -> None:
    bot = MomentumBot("bot", "X", FLAT, 30)
    assert bot.hear(decision(bot, Action.BUY, decision_id="1"), NOW_MS)
    assert (bot.position, bot.cash, bot.entry_price) == (pytest.approx(10), pytest.approx(9_000), pytest.approx(100))
    assert bot.hear(decision(bot, Action.SELL, decision_id="2", size_pct=0.05), NOW_MS)
    assert (bot.position, bot.cash) == (pytest.approx(5), pytest.approx(9_500))
    assert bot.hear(decision(bot, Action.CLOSE, decision_id="3", size_pct=1.0), NOW_MS)
    assert (bot.position, bot.cash, bot.entry_price) == (0.0, pytest.approx(10_000), 0.0)


def test_a_decision_is_acted_on_once() -> None:
    bot = MomentumBot("bot", "X", FLAT, 30)
    bot.hear(decision(bot, Action.BUY), NOW_MS)
    assert not bot.hear(decision(bot, Action.BUY), NOW_MS)
    assert bot.position == pytest.approx(10)


@pytest.mark.parametrize(
    "more",
    [
        {"valid_until": rfc3339(NOW_MS - 1)},
        {"bot_id": "another"},
        {"symbol": "Y"},
        {"price_ref": None},
    ],
)
def test_a_decision_that_is_late_or_anothers_is_not_acted_on(more: dict[str, object]) -> None:
    bot = MomentumBot("bot", "X", FLAT, 30)
    assert not bot.hear(decision(bot, Action.BUY, **more), NOW_MS)
    assert bot.position == 0


def test_what_is_not_decided_is_not_acted_on() -> None:
    bot = MomentumBot("bot", "X", FLAT, 30)
    blocked = decision(bot, Action.HOLD, status=Status.BLOCKED_BY_RISK)
    assert not bot.hear(blocked, NOW_MS)


def test_nobody_sells_what_he_has_not() -> None:
    bot = MomentumBot("bot", "X", FLAT, 30)
    assert not bot.hear(decision(bot, Action.SELL), NOW_MS)
    assert bot.position == 0


def test_the_market_data_say_where_they_come_from() -> None:
    assert "QuantConnect/Lean" in (MARKET_DATA / "README.md").read_text(encoding="utf-8")
    for file in MARKET_DATA.glob("*.csv"):
        bars = read_bars(file.name)
        assert all(a.t < b.t for a, b in pairwise(bars))
        assert all(bar.l <= min(bar.o, bar.c) <= max(bar.o, bar.c) <= bar.h for bar in bars)
