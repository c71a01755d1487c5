"""A crowd that a rule's alternative shares, and a router of one's own, on real Kafka with real processes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.broker.choosing import asked, asking, decided, running
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = pytest.mark.broker

SLOW_MS = 400
BURST = 240
HEARD_S = 3.0  # after which a router has heard from each worker how long an answer takes
POLICY = """
version = 1
default = "deepseek"

[[rules]]
name = "volatility"
when = ["volatility_high"]
model = "qwen"
alternatives = ["phi3"]

[fallback]
qwen = ["deepseek"]
phi3 = ["deepseek"]
deepseek = ["phi3"]
"""


async def test_a_crowd_is_shared_with_the_alternative_that_the_rule_declares(
    fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    pipeline = Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS)
    applied = pipeline.command("policy", "apply", policy)
    assert applied.returncode == 0, applied.stderr
    for _ in running(pipeline, qwen=json.dumps({"delay_ms": SLOW_MS}), phi3=json.dumps({"delay_ms": SLOW_MS})):
        async with watching(fresh_topics.bootstrap, MODELS) as watch:
            volatile = {"volatility": 1.0}
            known = [*asking("known-q", [volatile] * 8), *asking("known-p", [volatile] * 8, model_preference="phi3")]
            await decided(watch, known)
            await asyncio.sleep(HEARD_S)
            burst = await decided(watch, asking("crowd", [volatile] * BURST))
    shares = Counter(asked(each)[0] for each in burst)
    assert min(shares["qwen"], shares["phi3"]) > BURST / 8, shares
    moved = next(each for each in burst if asked(each)[0] == "phi3")
    assert "qwen's expected wait is" in moved.route.reason and "so phi3 is asked" in moved.route.reason
    waits = {each.model: each.expected_wait_ms for each in moved.route.candidates}
    assert (waits["qwen"] or 0) >= 2 * (waits["phi3"] or 0), "the numbers that it went by, rounded"


async def test_a_router_of_ones_own_chooses_and_the_chain_holds(
    fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path
) -> None:
    own = {"TRADING_LLM_ROUTER": "examples.custom_router:CustomRouter"}
    for _ in running(Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS), own):
        async with watching(fresh_topics.bootstrap, MODELS) as watch:
            made = await decided(watch, asking("own", [{"sentiment": 0.9}, {"volatility": 1.0}, {}]))
            preferred = await decided(watch, asking("own-asks", [{}], model_preference="fingpt"))
    assert any(str(each.route.rule).startswith("router:CustomRouter") for each in made), [each.route for each in made]
    assert asked(preferred[0]) == ("fingpt", "preference")
