"""The router's view of the models: what it believes while heartbeats are away, and that no model is forgotten for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from backbone.settings import Settings
from deciders.features import Features
from deciders.health import Change, Health
from deciders.routing import Chosen, choose_model
from router import fleet as module
from router.fleet import FleetView
from schemas.decision import Decision, Status, decision_output
from schemas.record import Output, Record
from schemas.result import Result
from schemas.route import Attempt, Route
from schemas.source import Source
from schemas.status import Heartbeat, WorkerState
from tests.unit.samples import CATALOGUE, LOGGED_MS, policy, question, record

pytestmark = pytest.mark.unit

MODEL = "qwen"
WILD = Features(volatility_high=True)  # named: qwen


class Nobody:
    """In the place of a client: takes whatever it is given."""

    def __init__(self, *given: object) -> None:
        pass

    def changed(self, change: Change) -> None:
        """Say nothing."""


class Redis(Nobody):
    """Heartbeats that say this; None: Redis is away."""

    said: dict[str, Heartbeat] | None = None

    async def read(self) -> dict[str, Heartbeat] | None:
        return self.said


def beat(at_ms: int, service_ms: float, model: str = MODEL) -> Heartbeat:
    return Heartbeat(
        process=model, model=model, state=WorkerState.READY, at_ms=at_ms, started_at_ms=1, concurrency=4, service_ms=service_ms
    )


def answer() -> Record:
    """The decision of a question that qwen answered."""
    decision = Decision(
        decision_id="d", context_id="c", content_digest="0", bot_id="b", symbol="S", horizon_s=1, status=Status.DECIDED,
        route=Route(attempts=(Attempt(model=MODEL, outcome="answered", ms=100.0),)),
        as_of="2026-01-01T00:00:00.000Z", decided_at="2026-01-01T00:00:00.000Z", valid_until="2026-01-01T00:00:00.000Z",
    )  # fmt: skip
    output = decision_output(record({}), Source("contexts", 0, 1), decision)
    return Record(Source("decisions", 0, 1), output.key, output.value, output.headers, LOGGED_MS)


HOP = Result(record({}), (Output(f"contexts.{MODEL}", b"k", b"{}", ()),))
ANSWER = answer()


def viewed(
    scene: Callable[[FleetView, Redis], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch, clock: list[int]
) -> None:
    """Play this before a view that never reaches Kafka."""
    redis = Redis()
    monkeypatch.setattr(module, "now_ms", lambda: clock[0])
    monkeypatch.setattr(module, "Heartbeats", lambda settings: redis)
    for client in ("Tail", "LagReader", "Bulletin"):
        monkeypatch.setattr(module, client, Nobody)
    view = FleetView(Settings(models=CATALOGUE), lambda error: None)
    view._health = {name: Health(name, clock[0]) for name in CATALOGUE}
    asyncio.run(scene(view, redis))


def asked(view: FleetView, clock: list[int], ttl_ms: int) -> str:
    choice = choose_model(replace(question(), valid_until_ms=clock[0] + ttl_ms), WILD, policy(), view.now(), CATALOGUE)
    assert isinstance(choice, Chosen)
    return choice.model


def test_a_model_that_answers_everything_is_not_crowded_because_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [LOGGED_MS]

    async def scene(view: FleetView, redis: Redis) -> None:
        redis.said = {MODEL: beat(clock[0], 100.0)}
        await view._read_heartbeats()
        redis.said = None
        for second in range(300):
            clock[0] += 1_000
            await view._read_heartbeats()
            for _ in range(20):
                view.sent(HOP)
                view._decided(ANSWER)
            if second % 3 == 0:
                view._waiting[MODEL].looked(0)  # Kafka holds nothing without an outcome
            view._show(MODEL)
        assert view.now().of(MODEL).waiting <= 60, "what was answered long ago"
        assert asked(view, clock, 60_000) == MODEL

    viewed(scene, monkeypatch, clock)


def test_a_model_that_was_slow_and_is_idle_is_asked_again_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service time is known only from answers: of who is not asked for it, it stays what it was, and nothing says it is out."""
    clock = [LOGGED_MS]

    async def scene(view: FleetView, redis: Redis) -> None:
        went = []
        for _ in range(1_800):  # half an hour in which every question has 10 s, and the last answer once took 12
            clock[0] += 1_000
            redis.said = {MODEL: beat(clock[0], 12_000.0), "deepseek": beat(clock[0], 100.0, "deepseek")}
            await view._read_heartbeats()
            went.append(asked(view, clock, 10_000))
        assert view.now().of(MODEL).state == "HEALTHY"
        assert MODEL in went

    viewed(scene, monkeypatch, clock)
