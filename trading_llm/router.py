"""The router to derive from, with the founding document's way to compare models on one question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from backbone.settings import Settings
from router.model_router import ModelRouter as RoutingRouter
from schemas.decision import Decision


class ModelRouter(RoutingRouter):
    """Override `select_model(request)` and name the class in TRADING_LLM_ROUTER=module:Class; the router process loads it."""

    def route_to_model(self, request: Mapping[str, Any], model: str) -> Decision:
        """What this model says to the body of a `POST /decide`, through the gateway that LLM_ENDPOINT names.

        Each answer is a context of its own in the log, and the body's `context_id`, if any, gets the model's name appended:
        one name has one decision. Raises httpx.HTTPError where there is no decision.
        """
        settings = Settings()
        body = dict(request)
        if body.get("context_id") is not None:
            body["context_id"] = f"{body['context_id']}:{model}"
        url = f"{settings.llm_endpoint}/models/{quote(model, safe='')}/decide"
        response = httpx.post(url, json=body, timeout=settings.http_wait_s + 5)
        response.raise_for_status()
        return Decision.from_bytes(response.content)
