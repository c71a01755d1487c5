"""How every error of the app leaves: as problem details, FastAPI's own ones too."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.problems import MEDIA_TYPE, Problem, broken, problem


def respond(error: Problem) -> Response:
    """The problem as it goes out."""
    body = error.details.model_dump_json(exclude_none=True)
    return Response(body, error.details.status, error.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of this app leaves as problem details."""

    async def own(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return respond(error)

    async def parameters(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        flaw = error.errors()[0]
        return respond(broken(400, ".".join(str(part) for part in flaw["loc"][1:]), flaw["msg"]))

    async def http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        details = problem(error.status_code, f"http-{error.status_code}", str(error.detail)).details
        return respond(Problem(details, error.headers))

    app.add_exception_handler(Problem, own)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(HTTPException, http)
