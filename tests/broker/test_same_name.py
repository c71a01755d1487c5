"""Two processes under one name: who joined last goes on, and the other one ends, with a word."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = pytest.mark.broker

MODEL = "phi3"
SHORT = {"TRADING_LLM_SESSION_TIMEOUT_S": "6", "TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 5})}


@pytest.mark.parametrize("room", ["router", "worker"])
async def test_who_slept_while_another_took_its_name_ends(pipeline: Pipeline, fresh_topics: Broker, room: str) -> None:
    def start(ordinal: int = 0) -> Running:
        return pipeline.router(ordinal, SHORT) if room == "router" else pipeline.worker(MODEL, ordinal, SHORT)

    pipeline.environment["TRADING_LLM_MODELS"] = MODEL
    (pipeline.worker(MODEL, 3, SHORT) if room == "router" else pipeline.router(3, SHORT)).wait_ready()
    sleeper = start().wait_ready()
    async with watching(fresh_topics.bootstrap, (MODEL,)) as watch:
        sources = await feed.send(fresh_topics.bootstrap, feed.bodies(40, 20, 1, label=f"{room}-before"))
        await watch.until_answered(sources)
        sleeper.pause()
        other = start().wait_ready()
        sleeper.resume()
        assert await asyncio.to_thread(sleeper.wait_exit, 30) == 1
        assert "another process runs as" in sleeper.said()
        sources = await feed.send(fresh_topics.bootstrap, feed.bodies(40, 20, 2, label=f"{room}-after"))
        await watch.until_answered(sources)
        verdict = await watch.settled(20)
    assert verdict.holds, str(verdict)
    assert other.popen.poll() is None
