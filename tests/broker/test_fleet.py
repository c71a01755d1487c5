"""The router's fleet on real Kafka and Redis: who is out is not asked, everybody can see why, and nothing is said twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from backbone.scan import Scan, scanning
from backbone.settings import Settings
from backbone.topics import plan
from schemas.decision import Decision
from schemas.record import Record
from schemas.status import ModelStatus
from schemas.topic import MODELS_STATUS
from tests.broker.choosing import decided
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching

pytestmark = pytest.mark.broker

MODELS = ("deepseek", "phi3")  # phi3's chain ends at deepseek, the default, whose chain holds phi3
EVENT = re.compile(r" model\.(healthy|degraded|opened|probing|down) model=(\w+) ")
CHANGES = "trading_llm_model_state_changes_total"
STATES = {"healthy": "HEALTHY", "degraded": "DEGRADED", "opened": "OPEN", "probing": "PROBING", "down": "DOWN"}


@pytest.fixture
def stack(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(fresh_topics, fresh_redis, tmp_path, models=MODELS)
    yield made
    made.close()


class Board:
    """What is said on `models.status` from now on, and what was before."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._before: list[ModelStatus] = []
        self.said: list[ModelStatus] = []

    async def start(self) -> None:
        async for records in self._scan.read_to(await self._scan.stable_ends()):
            self._before += map(status, records)

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(each.name, each.state.value) for each in self.said]

    def of(self, model: str) -> ModelStatus | None:
        return next((each for each in reversed(self._before + self.said) if each.name == model), None)

    async def read(self) -> None:
        self.said += map(status, await self._scan.read())

    async def until(self, model: str, state: str, s_max: float = 30.0) -> ModelStatus:
        """What is said of this model once it is in this state."""
        async with asyncio.timeout(s_max):
            while (found := self.of(model)) is None or found.state != state:
                await self.read()
        return found


def status(record: Record) -> ModelStatus:
    return ModelStatus.model_validate_json(record.value)


@asynccontextmanager
async def boarding(bootstrap: str) -> AsyncIterator[Board]:
    """A board for as long as the block lasts. Topics are the module's: a router says only what differs from what was said."""
    planned = [each for each in plan(MODELS) if each.name == MODELS_STATUS]
    async with scanning(Settings(kafka_bootstrap=bootstrap), planned) as scan:
        board = Board(scan)
        await board.start()
        yield board


def script(**fields: object) -> dict[str, str]:
    return {"TRADING_LLM_SCRIPT": json.dumps(fields)}


def asking(label: str, count: int, **fields: object) -> list[feed.Body]:
    """So many contexts for phi3, each of a symbol of its own."""
    own = {"bot_id": "b", "model_preference": "phi3", "context": {"price": 100, "volume": 5}}
    return [own | {"symbol": f"{label}{n}/USD", "context_id": f"{label}-{n}"} | fields for n in range(count)]


def asked(decisions: Sequence[Decision]) -> set[str]:
    """Who answered, or why nobody did."""
    return {each.status.value if each.model is None else each.model.name for each in decisions}


def events(*routers: Running) -> list[tuple[str, str]]:
    """The model and its new state of each event line, in order."""
    return [(model, STATES[word]) for router in routers for word, model in EVENT.findall(router.said())]


def counted(router: Running) -> Counter[tuple[str, str]]:
    """How often each model came into each state, as the metric of this router has it."""
    text = httpx.get(f"{router.url}/metrics", timeout=10).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    changes = {(s.labels["model"], s.labels["state"]): int(s.value) for s in samples if s.name == CHANGES}
    return +Counter(changes)


async def agreed(board: Board, router: Running) -> list[tuple[str, str]]:
    """What is said on the topic, once the lines of the log say the same; a line follows its record.

    The metric says it, too, but for what the topic knew before this router came.
    """
    async with asyncio.timeout(10):
        while board.states != events(router):
            await board.read()
    missing = Counter(board.states) - counted(router)
    unsaid = counted(router) - Counter(board.states)
    assert not missing, f"said, and not counted: {missing}"
    assert unsaid.keys() <= {(model, "HEALTHY") for model in MODELS}, f"counted, and not said: {unsaid}"
    assert max(unsaid.values(), default=0) <= 1, unsaid
    return board.states


async def test_a_dead_model_is_down_its_chain_is_asked_and_without_a_chain_nobody(stack: Pipeline, fresh_topics: Broker) -> None:
    async with boarding(fresh_topics.bootstrap) as board, watching(fresh_topics.bootstrap, MODELS) as watch:
        router, phi3, deepseek = stack.router(), stack.worker("phi3"), stack.worker("deepseek")
        gateway = stack.gateway()
        for process in stack.started:
            process.wait_ready()
        assert asked(await decided(watch, asking("well", 10))) == {"phi3"}
        await board.until("phi3", "HEALTHY")
        phi3.kill()
        said = await board.until("phi3", "DOWN")
        assert said.reason.startswith("no worker's") and said.since is not None
        health = await asyncio.to_thread(httpx.get, f"{gateway.url}/models/phi3/health", timeout=10)
        assert (health.status_code, health.json()["reason"], health.json()["since"]) == (503, said.reason, said.since)
        instead = await decided(watch, asking("dead", 10))
        assert asked(instead) == {"deepseek"}
        assert {each.route.candidates[0].state.value for each in instead} == {"DOWN"}
        assert all(f"phi3 is DOWN ({said.reason}), so deepseek" in each.route.reason for each in instead)
        assert asked(await decided(watch, asking("alone", 3, fallback=False))) == {"ABSTAINED_NO_MODEL"}
        deepseek.kill()
        await board.until("deepseek", "DOWN")
        nobody = await decided(watch, asking("nobody", 10))
        assert asked(nobody) == {"ABSTAINED_NO_MODEL"}
        assert "deepseek is DOWN" in nobody[0].route.reason
        stack.worker("phi3").wait_ready()
        assert asked(await decided(watch, asking("back", 10))) == {"phi3"}
        await board.until("phi3", "HEALTHY")
        said_of_phi3 = [state for model, state in await agreed(board, router) if model == "phi3"]
        assert said_of_phi3[-2:] == ["DOWN", "HEALTHY"]
        verdict = await watch.settled(20)
        assert verdict.holds, str(verdict)


async def killed(phi3: Running, watch: Watch) -> None:
    phi3.kill()


async def asleep(phi3: Running, watch: Watch) -> None:
    phi3.pause()


async def raising(phi3: Running, watch: Watch) -> None:
    await decided(watch, asking("RAISE", 20))


async def late(phi3: Running, watch: Watch) -> None:
    await decided(watch, asking("late-once", 8, ttl_ms=2_400))


def of_phi3(changes: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    return Counter({change: count for change, count in changes.items() if change[0] == "phi3"})


Strike = Callable[[Running, Watch], Awaitable[None]]
PLAIN: dict[str, str] = {}
STRIKES = [
    (killed, PLAIN, "DOWN"),
    (asleep, PLAIN, "DOWN"),
    (raising, script(faults={"raise": "RAISE"}), "OPEN"),
    (late, script(delay_ms=3_000), "OPEN"),
]


@pytest.mark.parametrize(("strike", "env", "state"), STRIKES, ids=[each[0].__name__ for each in STRIKES])
async def test_a_fault_is_one_status_one_event_line_and_one_count(
    stack: Pipeline, fresh_topics: Broker, strike: Strike, env: dict[str, str], state: str
) -> None:
    name = strike.__name__
    async with boarding(fresh_topics.bootstrap) as board, watching(fresh_topics.bootstrap, MODELS) as watch:
        router, phi3 = stack.router(), stack.worker("phi3", env=env)
        for process in (router, phi3, stack.worker("deepseek")):
            process.wait_ready()
        await board.until("phi3", "HEALTHY")  # as yet nothing is known of how long it takes
        before, counts = len(await agreed(board, router)), counted(router)
        await strike(phi3, watch)
        await board.until("phi3", state)
        assert asked(await decided(watch, asking(f"out-{name}", 10))) == {"deepseek"}
        said = of_phi3(Counter((await agreed(board, router))[before:]))
        assert said["phi3", state] == 1
        assert said - Counter({("phi3", state): 1}) <= Counter({("phi3", "DEGRADED"): 1}), said
        assert of_phi3(counted(router) - counts) == said


async def test_a_slow_model_is_taken_out_and_comes_back_by_probes(stack: Pipeline, fresh_topics: Broker) -> None:
    async with boarding(fresh_topics.bootstrap) as board, watching(fresh_topics.bootstrap, MODELS) as watch:
        router = stack.router()
        for process in (router, stack.worker("phi3", env=script(delay_ms=3_000)), stack.worker("deepseek")):
            process.wait_ready()
        assert asked(await decided(watch, asking("late", 8, ttl_ms=2_400))) == {"EXPIRED"}
        said = await board.until("phi3", "OPEN")
        assert said.next_probe is not None and "late" in said.reason
        assert asked(await decided(watch, asking("open", 10))) == {"deepseek"}
        await board.until("phi3", "PROBING")
        tried = await decided(watch, asking("probe", 20))
        probes = [each for each in tried if asked([each]) == {"phi3"}]
        assert len(probes) == 2, "more than its probes"
        assert {each.route.candidates[0].state.value for each in probes} == {"PROBING"}
        assert "PROBING, and its probes are out" in next(each for each in tried if each not in probes).route.reason
        assert asked(await decided(watch, asking("third", 1))) == {"phi3"}
        await board.until("phi3", "HEALTHY")
        said_of_phi3 = [state for model, state in await agreed(board, router) if model == "phi3"]
        assert said_of_phi3[-3:] == ["OPEN", "PROBING", "HEALTHY"]
        hurried = await decided(watch, asking("hurried", 5, ttl_ms=2_000))
        assert asked(hurried) == {"deepseek"}
        assert re.search(r"phi3 would answer in \d+ ms, and \d+ ms are left, so deepseek", hurried[0].route.reason)


async def test_what_is_no_models_fault_is_held_against_none(stack: Pipeline, fresh_topics: Broker) -> None:
    async with boarding(fresh_topics.bootstrap) as board, watching(fresh_topics.bootstrap, MODELS) as watch:
        for process in (stack.router(), stack.worker("phi3", env=script(faults={"nan": "NAN"})), stack.worker("deepseek")):
            process.wait_ready()
        assert asked(await decided(watch, asking("rejected", 20, colour="red"))) == {"REJECTED"}
        assert asked(await decided(watch, asking("over", 20, ttl_ms=1))) == {"EXPIRED"}
        assert asked(await decided(watch, asking("NAN", 20))) == {"deepseek"}
        assert asked(await decided(watch, asking("sound", 20))) == {"phi3"}
        await board.read()
        assert {state for _, state in board.states} <= {"HEALTHY", "DEGRADED"}


async def test_without_redis_contexts_are_decided_and_no_model_is_down(
    stack: Pipeline, fresh_topics: Broker, fresh_redis: RedisServer
) -> None:
    async with boarding(fresh_topics.bootstrap) as board, watching(fresh_topics.bootstrap, MODELS) as watch:
        router = stack.router()
        for process in (router, stack.worker("phi3"), stack.worker("deepseek")):
            process.wait_ready()
        await board.until("phi3", "HEALTHY")
        fresh_redis.kill()
        try:
            assert asked(await decided(watch, asking("at-once", 10))) == {"phi3"}
            await asyncio.sleep(7)  # longer than any heartbeat lasts
            assert asked(await decided(watch, asking("later", 10))) == {"phi3"}
        finally:
            fresh_redis.start_again()
        await asyncio.sleep(2)
        assert asked(await decided(watch, asking("again", 10))) == {"phi3"}
        await board.read()
        assert {state for _, state in board.states} <= {"HEALTHY"}
        assert "redis.away" in router.said() and "redis.back" in router.said()


async def test_a_paused_router_says_nothing_after_its_successor(stack: Pipeline, fresh_topics: Broker) -> None:
    soon = {"TRADING_LLM_SESSION_TIMEOUT_S": "6"}
    async with boarding(fresh_topics.bootstrap) as board:
        first, phi3 = stack.router(0, soon), stack.worker("phi3")
        for process in (first, phi3, stack.worker("deepseek")):
            process.wait_ready()
        await board.until("phi3", "HEALTHY")
        first.pause()
        second = stack.router(1, soon).wait_ready()
        phi3.kill()
        await board.until("phi3", "DOWN")
        first.resume()
        await asyncio.sleep(4)  # in which it, too, has seen that phi3 is gone
        await board.read()
        assert [state for model, state in board.states if model == "phi3" and state != "HEALTHY"] == ["DOWN"]
        assert (board.of("phi3") or board.said[-1]).state == "DOWN"
        assert ("phi3", "DOWN") in events(second) and ("phi3", "DOWN") not in events(first)
