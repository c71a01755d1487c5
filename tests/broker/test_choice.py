"""What the router was ordered for, on real Kafka with real processes: rules, preference, thresholds, limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.broker.choosing import asked, asking, decided, running
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = pytest.mark.broker

POSITION = {"size": 1, "entry_price": 99.0}
# What the founding document says, and the rule that it is in the policy that ships.
MARKETS: list[tuple[dict[str, Any], str, str]] = [
    ({"position": POSITION, "volume_ratio": 2.0}, "fingpt", "position_and_volume"),
    ({"position": POSITION, "volume_ratio": 2.0, "volatility": 1.0}, "fingpt", "position_and_volume"),
    ({"volume_ratio": 2.0}, "deepseek", "default"),
    ({"position": POSITION}, "deepseek", "default"),
    ({"volatility": 1.0, "sentiment": 0.9}, "qwen", "volatility"),
    ({"sentiment": 0.9}, "phi3", "sentiment"),
    ({"sentiment": -0.9}, "phi3", "sentiment"),
    ({}, "deepseek", "default"),
]


@pytest.fixture(scope="module")
def all_four(fresh_topics: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A router and a worker of each model, under the policy that ships."""
    redis_server.flush()
    yield from running(Pipeline(fresh_topics, redis_server, tmp_path_factory.mktemp("all-four"), models=MODELS))


async def test_each_market_goes_to_the_model_that_was_meant_for_it(all_four: Pipeline, fresh_topics: Broker) -> None:
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        made = await decided(watch, asking("market", [market for market, _, _ in MARKETS]))
        assert [asked(each) for each in made] == [(model, rule) for _, model, rule in MARKETS]
        markets = [market for market, _, _ in MARKETS]
        for model in MODELS:
            preferred = await decided(watch, asking(f"asks-{model}", markets, model_preference=model))
            assert {asked(each) for each in preferred} == {(model, "preference")}


async def test_a_weak_answer_abstains_a_forbidden_one_is_blocked_and_a_hold_passes(
    all_four: Pipeline, fresh_topics: Broker
) -> None:
    prices = [{"price": 100.0 + n} for n in range(60)]
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        usual = await decided(watch, asking("usual", prices))
        strict = await decided(watch, asking("strict", prices, risk_limits={"min_confidence": 0.93}))
        tied = await decided(watch, asking("tied", prices, risk_limits={"allowed_actions": ["HOLD"]}))
    for each in (*usual, *strict, *tied):
        assert each.proposed is not None and each.confidence is not None, each
        if each.status == "ABSTAINED_LOW_CONFIDENCE":
            assert each.confidence < (each.route.threshold or 0) and each.proposed.action != "HOLD"
        elif each.status == "DECIDED" and each.action != "HOLD":
            assert each.confidence >= (each.route.threshold or 1)
    weak = [sum(each.status == "ABSTAINED_LOW_CONFIDENCE" for each in made) for made in (usual, strict)]
    assert 0 < weak[0] < weak[1]
    assert {each.action for each in tied} <= {"HOLD", "CLOSE"}, "a CLOSE is never blocked"
    assert {each.status for each in tied if each.proposed and each.proposed.action in ("BUY", "SELL")} >= {"BLOCKED_BY_RISK"}
    assert {each.status for each in tied if each.proposed and each.proposed.action == "HOLD"} == {"DECIDED"}
