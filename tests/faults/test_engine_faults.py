"""F14, F24: an engine that hangs, lies or dies: each kind is named in the trail, the chain goes on, and every context ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.decision import Decision
from schemas.headers import REASON, SRC, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import DEAD_LETTERS, DECISIONS
from tests.faults.case import Case
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching

pytestmark = [pytest.mark.faults, pytest.mark.fault("F14")]

MODELS = ("deepseek", "phi3")  # phi3's chain ends at deepseek, the default
OUTCOMES = {
    "hang": "failed:hung",
    "raise": "failed:raised",
    "nan": "failed:not_finite",
    "cut": "failed:cut_off",
    "wrong_symbol": "failed:wrong_symbol",
    "big": "failed:too_long",
    "garbage": "failed:raised",
}
EVERY = {fault: f"{fault.upper()}/" for fault in OUTCOMES}
LOOKED_AT = {"gives_up": True}  # each case looks at every outcome itself, and one of them gives up, on the same topics
DIES = {"TRADING_LLM_SCRIPT": json.dumps({"faults": {"die": "DIE/"}})}


def script(**faults: str) -> dict[str, str]:
    return {"TRADING_LLM_SCRIPT": json.dumps({"faults": faults}), "TRADING_LLM_HUNG_S": "1"}


def asked(symbol: str, name: str, **fields: object) -> feed.Body:
    """A context about this symbol, for phi3."""
    context = {"price": 100, "volume": 5}
    return {"context": context, "bot_id": "b", "symbol": symbol, "context_id": name, "model_preference": "phi3"} | fields


def outcome_of(watch: Watch, source: Source) -> Record:
    records = (*watch.of(DECISIONS), *watch.of(DEAD_LETTERS))
    return next(each for each in records if header_text(each.headers, SRC) == str(source))


def decision_of(watch: Watch, source: Source) -> Decision:
    return Decision.from_bytes(outcome_of(watch, source).value)


@pytest.fixture
def stack(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS)
    yield made
    made.close()


@asynccontextmanager
async def kept_alive(start: Callable[[], Running]) -> AsyncIterator[list[Running]]:
    """A process that is started again whenever it ends; answers with all its lives."""
    lives = [start()]

    async def nurse() -> None:
        while True:
            if lives[-1].popen.poll() is not None:
                lives.append(start())
            await asyncio.sleep(0.1)

    task = asyncio.create_task(nurse())
    try:
        yield lives
    finally:
        task.cancel()


async def test_each_fault_is_named_and_the_next_model_answers(stack: Pipeline, fresh_topics: Broker, case: Case) -> None:
    for process in (stack.router(), stack.worker("phi3", env=script(**EVERY)), stack.worker("deepseek")):
        process.wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        contexts = [asked(f"{fault.upper()}/{n}", f"{fault}-{n}") for n in range(3) for fault in OUTCOMES]
        contexts += [asked("GOOD/USD", f"good-{n}") for n in range(20)]
        sources = await feed.send(fresh_topics.bootstrap, contexts)
        await watch.until_answered(sources)
        for context, source in zip(contexts, sources, strict=True):
            decision = decision_of(watch, source)
            fault = str(context["context_id"]).rpartition("-")[0]
            trail = [(each.model, each.outcome) for each in decision.route.attempts]
            failed = [("phi3", OUTCOMES[fault])] if fault in OUTCOMES else []
            answered_by = "deepseek" if failed else "phi3"
            assert trail == [*failed, (answered_by, "answered")], context["context_id"]
            assert decision.model is not None and decision.model.name == answered_by
            assert decision.generation is not None and len(decision.generation.failed) == len(failed)
            case.fired += len(failed)
        case.tried = 3 * len(OUTCOMES)
        case.judge(await watch.settled(20), len(sources), **LOOKED_AT)


async def test_at_the_chains_end_there_is_no_valid_answer(stack: Pipeline, fresh_topics: Broker, case: Case) -> None:
    broken = script(garbage="")
    for process in (stack.router(), stack.worker("phi3", env=broken), stack.worker("deepseek", env=broken)):
        process.wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        contexts = [asked("X/USD", f"end-{n}") for n in range(10)] + [asked("X/USD", "alone", fallback=False)]
        sources = await feed.send(fresh_topics.bootstrap, contexts)
        await watch.until_answered(sources)
        decisions = [decision_of(watch, source) for source in sources]
        assert {each.status for each in decisions} == {"ABSTAINED_BAD_OUTPUT"}
        assert [[a.model for a in each.route.attempts] for each in decisions] == [["phi3", "deepseek"]] * 10 + [["phi3"]]
        case.tried, case.fired = 21, sum(len(each.route.attempts) for each in decisions)
        case.judge(await watch.settled(20), len(sources), **LOOKED_AT)


async def test_what_a_dead_engine_held_is_answered_once_after_the_restart(
    stack: Pipeline, fresh_topics: Broker, case: Case
) -> None:
    for process in (stack.router(), stack.worker("deepseek")):
        process.wait_ready()
    dying = stack.worker("phi3", env=DIES).wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch:
        contexts = [asked("DIE/USD" if n == 10 else f"N{n}/USD", f"once-{n}") for n in range(40)]
        sources = await feed.send(fresh_topics.bootstrap, contexts)
        assert await asyncio.to_thread(dying.wait_exit) != 0
        case.fired = 1
        stack.worker("phi3").wait_ready()
        await watch.until_answered(sources)
        assert {decision_of(watch, source).model.name for source in sources} == {"phi3"}
        case.judge(await watch.settled(20), len(sources), **LOOKED_AT)


@pytest.mark.long
@pytest.mark.fault("F24")
@pytest.mark.parametrize("delay_ms", [0, 300])
async def test_a_context_that_kills_its_worker_is_given_up_and_its_neighbours_are_decided(
    stack: Pipeline, fresh_topics: Broker, case: Case, delay_ms: int
) -> None:
    # Without time to drain, what the engine has of others at that moment dies with it, in every lane.
    dies = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": delay_ms, "faults": {"die": "DIE/"}}), "TRADING_LLM_DRAIN_S": "0"}
    for process in (stack.router(), stack.worker("deepseek")):
        process.wait_ready()
    async with watching(fresh_topics.bootstrap, MODELS) as watch, kept_alive(lambda: stack.worker("phi3", env=dies)) as lives:
        lives[0].wait_ready()
        # Without fallback, or a rescuer sends them on while a slow machine starts the worker again.
        own = {"ttl_ms": 600_000, "fallback": False}
        contexts = [asked("DIE/USD" if n == 10 else f"N{n}/USD", f"poison-{delay_ms}-{n}", **own) for n in range(40)]
        sources = await feed.send(fresh_topics.bootstrap, contexts)
        await watch.until_answered(sources, 120)
        assert header_text(outcome_of(watch, sources[10]).headers, REASON) == "undecidable"
        neighbours = [source for n, source in enumerate(sources) if n != 10]
        assert {outcome_of(watch, each).source.topic for each in neighbours} == {DECISIONS}
        assert len(lives) >= 4, "it was given up too early"
        case.fired, case.figures = 1, {"lives": len(lives)}
        case.judge(await watch.settled(20), len(sources), **LOOKED_AT)
