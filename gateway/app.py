"""The routes: HTTP in front of the topics."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from backbone.errors import Fatal
from gateway import errors
from gateway.asking import NotYet
from gateway.body import read_body
from gateway.docs_page import page
from gateway.fresh_id import RANDOM_BITS, uuid7
from gateway.intake import Naming, take, trace, wait_s
from gateway.lag import as_json, lags
from gateway.metrics import Counting
from gateway.models import ASKED
from gateway.openapi import BODY, DECIDES, NOT_FOUND, describe
from gateway.problems import problem
from gateway.replies import decision, later, too_late
from gateway.service import Service, now_ms
from schemas.status import ModelStatus

CURL = (
    "curl -X POST http://{host}/decide -H 'Content-Type: application/json' \\\n  -d '"
    '{{"context": {{"price": 45000, "volume": 1000000}}, "bot_id": "momentum_bot", "symbol": "BTCUSDT", '
    '"risk_limits": {{"max_position_pct": 0.02}}}}\''
)


def create_app(service: Service) -> FastAPI:
    """The app over these parts, which are started already; they stop with it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.stop()

    app = FastAPI(title="trading-llm", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.add_middleware(Counting)
    errors.install(app)
    _deciding(app)
    _models(app)
    _operating(app)
    describe(app)
    return app


def _service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


Parts = Annotated[Service, Depends(_service)]


async def _ask(request: Request, service: Service, only_model: str | None = None) -> Response:
    body = await read_body(request)
    naming = Naming(request.headers.get("idempotency-key"), uuid7(now_ms(), secrets.randbits(RANDOM_BITS)))
    asked = take(body, naming, now_ms(), only_model)
    wait, said = wait_s(request.headers.get("prefer"), service.settings.http_wait_s)
    answer = await service.asking.ask(asked, wait, trace(request.headers.get("traceparent")))
    if isinstance(answer, NotYet):
        if said:
            return later(answer, wait)
        raise too_late(answer, wait)
    service.answered()
    return decision(answer)


def _deciding(app: FastAPI) -> None:
    @app.post("/decide", responses=DECIDES, openapi_extra=BODY)
    async def decide(request: Request, service: Parts) -> Response:
        """Ask: answers with the decision. `Prefer: wait=N` waits at most N seconds, then answers 202."""
        return await _ask(request, service)

    @app.get("/decisions/{context_id:path}", responses=NOT_FOUND)
    async def find_decision(
        context_id: Annotated[str, Path(description="percent-encoded")],
        bot_id: Annotated[str, Query()],
        symbol: Annotated[str, Query()],
        service: Parts,
    ) -> Response:
        """The decision of a context, where this gateway has seen it since it started."""
        found = service.pending.named((bot_id, symbol, context_id))
        if found is None:
            detail = "no such decision was seen since this gateway started; `trading-llm explain` reads them all"
            raise problem(404, "unknown-decision", detail, context_id=context_id[:128])
        return decision(found)


def _models(app: FastAPI) -> None:
    @app.post("/models/{name}/decide", responses=DECIDES, openapi_extra=BODY)
    async def decide_by(name: str, request: Request, service: Parts) -> Response:
        """Ask this model and no other: no rule, no fallback."""
        _check_known(name, service)
        return await _ask(request, service, name)

    @app.get("/models/{name}/health", response_model=ModelStatus, responses=NOT_FOUND)
    async def health_of(name: str, service: Parts) -> JSONResponse:
        """How one model is doing: 200 where it can be asked, else 503."""
        _check_known(name, service)
        found = next(each for each in service.models.status(await service.heartbeats.read()) if each.name == name)
        return JSONResponse(found.model_dump(mode="json"), 200 if found.state in ASKED else 503)

    @app.get("/status")
    async def status(service: Parts) -> dict[str, Any]:
        """Every model (state, why, since when, queue, latency, share) and topic. What runs is its supervisor's to say."""
        beats = await service.heartbeats.read()
        try:
            topics = as_json(await lags(service.settings, now_ms()))
        except Fatal as error:
            raise problem(503, "kafka-away", str(error)) from error
        models = [each.model_dump(mode="json") for each in service.models.status(beats)]
        return {"processes": [], "models": models, "topics": topics}


def _operating(app: FastAPI) -> None:
    @app.get("/health", response_class=PlainTextResponse)
    async def health() -> str:
        """Whether the process lives."""
        return "alive\n"

    @app.get("/ready", response_class=PlainTextResponse)
    async def ready(service: Parts) -> PlainTextResponse:
        """200 once no outcome can be missed any more and the broker answers, else 503."""
        return PlainTextResponse("ready\n") if service.ready else PlainTextResponse("not ready\n", 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        """The page for people."""
        return HTMLResponse(page(app.openapi(), CURL.format(host=request.headers.get("host", "127.0.0.1:8080"))))


def _check_known(name: str, service: Service) -> None:
    if name not in service.models.catalogue:
        known = ", ".join(service.models.catalogue)
        raise problem(404, "unknown-model", f"{name[:64]} is not in the catalogue: {known}", field="name")
