"""What the gateway answers when it cannot answer with a decision: problem details (RFC 9457), naming field and rule."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict

from schemas.refusal import DeadLettered, Reason, Rejected

MEDIA_TYPE = "application/problem+json"

# What a body's flaw is called over HTTP. What is no JSON object breaks HTTP's rules; the rest breaks ours.
_STATUS = {Reason.NOT_JSON: 400, Reason.NOT_AN_OBJECT: 400, Reason.TOO_LARGE: 413}
_FIELDS = {Reason.UNKNOWN_SCHEMA_VERSION: "schema_version"}


class ProblemDetails(BaseModel):
    """The body of an error. `type` is stable; `field` and `rule` say what in the request breaks which rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    rule: str | None = None
    context_id: str | None = None


class Problem(Exception):
    """An answer that is no decision; raised anywhere below a route."""

    def __init__(self, details: ProblemDetails, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(details.detail)
        self.details = details
        self.headers = dict(headers or {})


def problem(status: int, slug: str, detail: str, **more: str | None) -> Problem:
    """The problem of this status; `slug` names its kind for programs, `more` is field, rule or context_id."""
    title = HTTPStatus(status).phrase
    return Problem(ProblemDetails(type=f"/problems/{slug}", title=title, status=status, detail=detail, **more))


def broken(status: int, field: str, rule: str) -> Problem:
    """The problem of a request in which `field` breaks `rule`."""
    return problem(status, "broken-rule", f"{field}: {rule}", field=field, rule=rule)


def of_refusal(refusal: DeadLettered | Rejected) -> Problem:
    """The problem of a body that the pipeline would refuse for the same reason."""
    if isinstance(refusal, Rejected):
        return broken(422, refusal.field, refusal.rule)
    status = _STATUS.get(refusal.reason, 422)
    field = _FIELDS.get(refusal.reason) or refusal.detail.split(" ", 1)[0]
    return broken(status, "body" if status != 422 else field, refusal.detail)
