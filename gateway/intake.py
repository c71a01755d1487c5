"""From a request's body to the record it becomes: checked by the pipeline's own rules, named, and in canonical bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from gateway.problems import broken, of_refusal
from schemas.canonical import canonical_json, digest
from schemas.context import CONTEXT_ID_CHARACTERS_MAX, read_event
from schemas.question import sender_key
from schemas.refusal import DeadLettered, Reason, Rejected

Ids = tuple[str, str, str]  # bot_id, symbol, context_id: what names a question

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", re.ASCII | re.IGNORECASE)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it will stand in `contexts`."""

    ids: Ids
    value: bytes

    @property
    def key(self) -> bytes:
        """The record's key."""
        return sender_key(*self.ids[:2])

    @property
    def content_digest(self) -> str:
        """What the decision will carry as `content_digest`."""
        return digest(self.value)


@dataclass(frozen=True, slots=True)
class Naming:
    """How a question gets its id: its own, else the `Idempotency-Key`, else `fresh_id`."""

    idempotency_key: str | None
    fresh_id: str


def take(body: bytes, naming: Naming, now_ms: int, only_model: str | None = None) -> Asked:
    """The record that this body becomes. Raises Problem, naming field and rule, where the pipeline would refuse it.

    `only_model` is asked, and no other; a body that prefers another one, or wants a fallback, is refused.
    """
    try:
        event = _object(body)
        event["context_id"] = _context_id(event, naming)
        if only_model is not None:
            _restrict(event, only_model)
        value = _canonical(event)
        read_event(value, now_ms)
    except (DeadLettered, Rejected) as refusal:
        raise of_refusal(refusal) from None
    return Asked((event["bot_id"], event["symbol"], event["context_id"]), value)


def wait_s(prefer: str | None, wait_s_max: float) -> tuple[float, bool]:
    """How long to wait for the decision, and whether the caller said so (`Prefer: wait=N`): 202 then, not 504."""
    found = _WAIT.search(prefer) if prefer else None
    return (wait_s_max, False) if found is None else (min(float(found[1]), wait_s_max), True)


def trace(traceparent: str | None) -> str | None:
    """The caller's W3C trace context, if it is one."""
    return traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        event = from_json(body)
    except ValueError as error:
        raise DeadLettered(Reason.NOT_JSON, f"the body is no JSON in UTF-8: {error}") from None
    if not isinstance(event, dict):
        raise DeadLettered(Reason.NOT_AN_OBJECT, "the body must be a JSON object")
    return event


def _context_id(event: dict[str, Any], naming: Naming) -> Any:
    key, own = _unquoted(naming.idempotency_key), event.get("context_id")
    if key is not None and not 1 <= len(key) <= CONTEXT_ID_CHARACTERS_MAX:
        raise broken(400, "Idempotency-Key", f"must have 1 to {CONTEXT_ID_CHARACTERS_MAX} characters")
    if own is None:
        return naming.fresh_id if key is None else key
    if key is not None and own != key:
        raise broken(400, "Idempotency-Key", "must be the body's context_id, or be left out")
    return own


def _unquoted(key: str | None) -> str | None:
    # The header is a structured string (in quotes) by its draft; most clients send it bare.
    return key[1:-1] if key and len(key) >= 2 and key[0] == key[-1] == '"' else key


def _restrict(event: dict[str, Any], model: str) -> None:
    if event.get("model_preference") not in (None, model):
        raise broken(422, "model_preference", f"must be {model}, which the path names, or be left out")
    if event.get("fallback") not in (None, False):
        raise broken(422, "fallback", "must be false, or be left out: the path names the only model")
    event |= {"model_preference": model, "fallback": False}


def _canonical(event: dict[str, Any]) -> bytes:
    try:
        return canonical_json(event)
    except ValueError as error:  # NaN and infinity, which are not JSON, and half surrogates
        raise DeadLettered(Reason.NOT_JSON, f"the body is no JSON: {error}") from None
