"""The client library for bots: one question, one decision, over Kafka or over HTTP.

async with Client() as client:
    decision = await client.decide({"context": {"price": 45000}, "bot_id": "me", "symbol": "BTCUSDT"})
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal, Self

import httpx

from backbone.settings import Settings
from gateway.asking import NotYet
from gateway.fresh_id import RANDOM_BITS, uuid7
from gateway.intake import Asked, Naming, take
from schemas.canonical import canonical_json
from schemas.decision import Decision
from trading_llm.disabled import halted
from trading_llm.link import Link

Over = Literal["kafka", "http"]


class NoDecision(Exception):
    """There is no decision, or not yet: ask again with the same `context_id`."""


class Unreachable(NoDecision):
    """The gateway does not answer: is it up, and is LLM_ENDPOINT its address?"""


class Client:
    """Asks, once a `context_id`, and waits. Reads ENABLE_LLM_TRADING, MIN_LLM_CONFIDENCE and LLM_ENDPOINT.

    Where trading is disabled it connects to nothing, asks nothing, and answers HALTED.
    """

    def __init__(self, over: Over = "http", settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._over = over
        self._http = httpx.AsyncClient(base_url=self.settings.llm_endpoint)
        self._link: Link | None = None

    async def __aenter__(self) -> Self:
        if self._over == "kafka" and self.settings.enable_llm_trading:
            self._link = Link(self.settings)
            await self._link.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._link is not None:
            await self._link.stop()
        await self._http.aclose()

    async def decide(self, event: Mapping[str, Any], wait_s: float | None = None) -> Decision:
        """The decision of this context event, within `wait_s` (default: the setting `http_wait_s`).

        Raises Problem, naming field and rule, where the event breaks the contract; NoDecision where none comes in time.
        """
        wait_s = self.settings.http_wait_s if wait_s is None else wait_s
        asked = take(canonical_json(self._with_threshold(event)), Naming(None, _fresh_id()), _now_ms())
        if not self.settings.enable_llm_trading:
            return halted(asked.value, asked.ids[2], _now_ms())
        if self._over == "http":
            return Decision.from_bytes(await self._by_http(asked, wait_s))
        if self._link is None:
            raise RuntimeError("a client over Kafka must be entered first: `async with Client(...) as client`")
        answer = await self._link.ask(asked, wait_s)
        if isinstance(answer, NotYet):
            raise NoDecision(f"context_id {asked.ids[2]}: no decision within {wait_s:g} s")
        return Decision.from_bytes(answer.value)

    def _with_threshold(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event with MIN_LLM_CONFIDENCE in its limits, where the environment sets it and the event asks for less."""
        if "min_llm_confidence" not in self.settings.model_fields_set:
            return dict(event)
        limits = dict(event.get("risk_limits") or {})
        own = limits.get("min_confidence")
        ours = self.settings.min_llm_confidence
        if own is None or (isinstance(own, int | float) and own < ours):
            limits["min_confidence"] = ours
        return {**event, "risk_limits": limits}

    async def _by_http(self, asked: Asked, wait_s: float) -> bytes:
        headers = {"Content-Type": "application/json", "Prefer": f"wait={max(1, round(wait_s))}"}
        try:
            async with asyncio.timeout(wait_s + 5):
                response = await self._http.post("/decide", content=asked.value, headers=headers, timeout=None)
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unreachable(f"gateway at {self.settings.llm_endpoint}: {error!r}; is it up?") from error
        if response.status_code != 200:
            raise NoDecision(f"context_id {asked.ids[2]}: {response.status_code} {response.text[:500]}")
        return response.content


def _fresh_id() -> str:
    return uuid7(_now_ms(), secrets.randbits(RANDOM_BITS))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
