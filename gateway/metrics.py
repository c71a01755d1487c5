"""What the gateway counts, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.outcome import Answered, Outcome

REQUESTS = Counter("trading_llm_http_requests", "Requests by route and status.", ["route", "status"])
REQUEST_S = Histogram(
    "trading_llm_http_seconds", "From a request's first byte to the start of its answer.", ["route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)  # fmt: skip
WAITING = Gauge("trading_llm_http_waiting", "Questions that wait for their decisions.")
OUTCOMES = Counter("trading_llm_outcomes_seen", "Outcomes the gateway has read.", ["model", "status", "action"])


def seen(outcome: Outcome) -> None:
    """Count an outcome by model, status and action; a dead letter by its reason."""
    if isinstance(outcome, Answered):
        OUTCOMES.labels(outcome.model or "none", outcome.status, outcome.action).inc()
    else:
        OUTCOMES.labels("none", f"dead_letter:{outcome.reason}", "none").inc()


class Counting:
    """Counts every request under its route's pattern, so that ids make no series of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count where an answer starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                REQUESTS.labels(route, str(message["status"])).inc()
                REQUEST_S.labels(route).observe(time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, counted)
