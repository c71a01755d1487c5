"""The OpenAPI document: the contract's own schemas, where FastAPI sees only bytes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.problems import MEDIA_TYPE, ProblemDetails
from schemas.context import ContextEvent
from schemas.decision import Decision

_REF = "#/components/schemas/{model}"


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDetails")}}}}


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}


BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _json("ContextEvent")}}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: _error("nothing of that name is known")}
DECIDES: dict[int | str, dict[str, Any]] = {
    200: {"description": "the decision, whatever its status", "content": _json("Decision")},
    202: {"description": "written; not decided within `Prefer: wait=N`"},
    400: _error("no JSON object, or a header that contradicts the body"),
    409: _error("context_id was sent before with other content"),
    413: _error("the body has more than 256 KiB"),
    415: _error("the body is not application/json"),
    422: _error("a field breaks its rule"),
    429: _error("too many questions wait; see Retry-After"),
    503: _error("not written, or decidable by nobody"),
    504: _error("not decided in time; ask again with the same context_id"),
}
_ABOUT = "Send a market context; get one decision from the right self-hosted model. Research software, and no advice."


def describe(app: FastAPI) -> None:
    """Let this app's OpenAPI document speak of contexts, decisions and problems."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version="1", description=_ABOUT, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model, mode in ((ContextEvent, "validation"), (Decision, "serialization"), (ProblemDetails, "serialization")):
        schema = model.model_json_schema(mode=mode, ref_template=_REF)  # type: ignore[arg-type]
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    return document
