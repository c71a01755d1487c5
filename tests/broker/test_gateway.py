"""HTTP in front of the topics, on real Kafka, with the scripted engine behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from backbone import ledger
from backbone.settings import Settings
from schemas.decision import Decision, Status
from tests.support.kafka import Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline

pytestmark = pytest.mark.broker

FOUNDING = {
    "context": {"price": 45000, "volume": 1000000},
    "bot_id": "momentum_bot",
    "symbol": "BTCUSDT",
    "risk_limits": {"max_position_pct": 0.02},
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def running(fresh_topics: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A router, one worker a model and a gateway, for the whole module."""
    redis_server.flush()
    made = Pipeline(fresh_topics, redis_server, tmp_path_factory.mktemp("gateway"), models=("deepseek", "phi3"))
    try:
        made.router()
        for model in ("deepseek", "phi3"):
            made.worker(model)
        made.gateway()
        for process in made.started:
            process.wait_ready()
        yield made
    finally:
        made.close()


@pytest.fixture
def http(running: Pipeline) -> Iterator[httpx.Client]:
    """A client of the gateway."""
    with httpx.Client(base_url=running.started[-1].url, timeout=60) as client:
        yield client


def contexts_written(running: Pipeline) -> int:
    """How many records `contexts` holds now."""
    found = asyncio.run(ledger.ends(settings_of(running), ("contexts",)))
    return sum(found.values())


def settings_of(running: Pipeline) -> Settings:
    """The settings of a client of this pipeline."""
    return Settings(kafka_bootstrap=running.environment["TRADING_LLM_KAFKA_BOOTSTRAP"])


def ask(http: httpx.Client, event: dict[str, Any], **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post("/decide", json=event, headers=named)


def test_the_founding_documents_body_gets_its_decision(http: httpx.Client) -> None:
    response = ask(http, FOUNDING)
    assert response.status_code == 200
    decision = Decision.from_bytes(response.content)
    assert (decision.bot_id, decision.symbol, decision.price_ref) == ("momentum_bot", "BTCUSDT", 45000)
    assert decision.model is not None and decision.model.name == "deepseek"
    assert decision.size_pct <= 0.02


def test_the_same_id_is_answered_by_the_same_decision(http: httpx.Client) -> None:
    first = ask(http, FOUNDING | {"context_id": "again"})
    second = ask(http, FOUNDING, Idempotency_Key="again")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content


def test_the_same_id_asked_twice_at_once_is_decided_once(http: httpx.Client, running: Pipeline) -> None:
    async def both() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=str(http.base_url), timeout=60) as client:
            event = FOUNDING | {"context_id": "at-once"}
            return await asyncio.gather(*(client.post("/decide", json=event) for _ in range(5)))

    answers = asyncio.run(both())
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_an_id_reused_with_other_content_is_a_conflict(http: httpx.Client) -> None:
    assert ask(http, FOUNDING | {"context_id": "reused"}).status_code == 200
    response = ask(http, FOUNDING | {"context_id": "reused", "symbol": "BTCUSDT", "context": {"price": 1}})
    assert response.status_code == 409
    assert response.json()["field"] == "context_id"


def test_a_gateway_that_has_not_seen_the_first_decision_says_so_and_still_refuses_other_content(
    http: httpx.Client, running: Pipeline, tmp_path: Path
) -> None:
    event = FOUNDING | {"context_id": "before-the-restart"}
    assert ask(http, event).status_code == 200
    young = running.gateway().wait_ready()
    try:
        response = httpx.post(f"{young.url}/decide", json=event, headers={"Prefer": "wait=2"}, timeout=60)
        assert response.status_code == 202  # it knows that there is one, and has not seen it
        other = httpx.post(f"{young.url}/decide", json=event | {"context": {"price": 2}}, timeout=60)
        assert other.status_code == 409
    finally:
        young.stop()
        running._started.remove(young)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, "body"),
        (b"[]", 400, "body"),
        (b'{"context": {"price": NaN}, "bot_id": "a", "symbol": "b"}', 400, "body"),
        (b'{"context": {}, "symbol": "b"}', 422, "bot_id"),
        (b'{"context": {}, "bot_id": "a", "symbol": "b", "schema_version": 2}', 422, "schema_version"),
        (b'{"context": {"price": -1}, "bot_id": "a", "symbol": "b"}', 422, "context.price"),
        (b'{"context": {}, "bot_id": "a", "symbol": "b", "colour": 1}', 422, "colour"),
        (b'{"context": {}, "bot_id": "a", "symbol": "b", "ttl_ms": 1, "expires_at": "2030-01-01T00:00:00Z"}', 422, "expires_at"),
        (b" " * (256 * 1024 + 1), 413, "body"),
    ],
)  # fmt: skip
def test_a_body_that_breaks_a_rule_is_told_field_and_rule_and_writes_nothing(
    http: httpx.Client, running: Pipeline, body: bytes, status: int, field: str
) -> None:
    before = contexts_written(running)
    response = http.post("/decide", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["field"] == field
    assert problem["rule"]
    assert contexts_written(running) == before


def test_a_body_of_unknown_length_is_cut_off_at_its_bound(http: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 16_384

    response = http.post("/decide", content=endless(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_what_is_not_json_by_its_type_is_refused(http: httpx.Client) -> None:
    response = http.post("/decide", content=json.dumps(FOUNDING), headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


def test_a_body_and_a_key_that_disagree_are_refused(http: httpx.Client) -> None:
    response = ask(http, FOUNDING | {"context_id": "one"}, Idempotency_Key="two")
    assert (response.status_code, response.json()["field"]) == (400, "Idempotency-Key")


def test_who_does_not_wait_is_told_where_the_decision_will_be(http: httpx.Client) -> None:
    response = ask(http, FOUNDING | {"context_id": "later/with slash"}, Prefer="wait=0")
    assert response.status_code == 202
    assert response.json()["context_id"] == "later/with slash"
    for _ in range(100):
        found = http.get(response.headers["location"])
        if found.status_code == 200:
            break
    assert Decision.from_bytes(found.content).context_id == "later/with slash"


def test_a_default_id_with_its_slashes_can_be_looked_up(http: httpx.Client, running: Pipeline) -> None:
    decision = Decision.from_bytes(ask(http, FOUNDING).content)
    found = http.get(f"/decisions/{quote(decision.context_id, safe='')}", params={"bot_id": "momentum_bot", "symbol": "BTCUSDT"})
    assert Decision.from_bytes(found.content) == decision


def test_a_decision_nobody_has_seen_is_not_found(http: httpx.Client) -> None:
    response = http.get("/decisions/nothing", params={"bot_id": "a", "symbol": "b"})
    assert (response.status_code, response.json()["type"]) == (404, "/problems/unknown-decision")


def test_a_look_up_without_its_bot_says_what_is_missing(http: httpx.Client) -> None:
    response = http.get("/decisions/nothing", params={"symbol": "b"})
    assert (response.status_code, response.json()["field"]) == (400, "bot_id")


def test_one_model_can_be_asked_by_name(http: httpx.Client) -> None:
    response = http.post("/models/phi3/decide", json=FOUNDING)
    decision = Decision.from_bytes(response.content)
    assert decision.route.rule == "preference"
    assert decision.model is not None and decision.model.name == "phi3"


def test_a_model_that_does_not_run_abstains_when_asked_by_name(http: httpx.Client) -> None:
    decision = Decision.from_bytes(http.post("/models/qwen/decide", json=FOUNDING).content)
    assert decision.status is Status.ABSTAINED_NO_MODEL


def test_a_model_nobody_knows_is_not_found(http: httpx.Client) -> None:
    assert http.post("/models/gpt/decide", json=FOUNDING).status_code == 404
    assert http.get("/models/gpt/health").status_code == 404


def test_the_trace_of_the_caller_reaches_the_decision(http: httpx.Client, running: Pipeline) -> None:
    event = FOUNDING | {"context_id": "traced"}
    assert ask(http, event, traceparent=TRACE).status_code == 200

    async def traces() -> list[bytes]:
        return [
            value
            async for record in ledger.read(settings_of(running), topics=("decisions",))
            for name, value in record.headers
            if name == "traceparent"
        ]

    assert TRACE.encode() in asyncio.run(traces())


def test_the_status_names_every_model_and_topic(http: httpx.Client) -> None:
    ask(http, FOUNDING)
    status = http.get("/status").json()
    states = {model["name"]: model["state"] for model in status["models"]}
    assert states == {"deepseek": "HEALTHY", "fingpt": "DOWN", "phi3": "HEALTHY", "qwen": "DOWN"}
    assert {"contexts", "contexts.phi3", "contexts.deepseek"} <= {topic["name"] for topic in status["topics"]}
    assert http.get("/models/phi3/health").status_code == 200
    assert http.get("/models/qwen/health").status_code == 503


def test_the_metrics_show_how_the_decisions_are_spread(http: httpx.Client) -> None:
    ask(http, FOUNDING)
    text = http.get("/metrics").text
    assert "trading_llm_outcomes_seen_total{action=" in text
    assert 'trading_llm_http_requests_total{route="/decide",status="200"}' in text


def test_the_page_of_the_routes_needs_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/docs").text
    assert "POST /decide" in page
    assert "src=" not in page and "https://" not in page.split("<h2>Messages</h2>")[0]
    document = http.get("/openapi.json").json()
    assert {"ContextEvent", "Decision", "ProblemDetails"} <= document["components"]["schemas"].keys()


def test_it_lives_and_is_ready(http: httpx.Client) -> None:
    assert http.get("/health").text == "alive\n"
    assert http.get("/ready").text == "ready\n"
    assert http.get("/nowhere").headers["content-type"] == "application/problem+json"
