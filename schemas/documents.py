"""The JSON Schema of every message, generated from the models: the one definition in code."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from schemas.catalogue import ModelEntry
from schemas.context import ContextEvent
from schemas.decision import Decision, FailedGeneration
from schemas.halt import Halt
from schemas.policy import Policy
from schemas.route import TagMessage
from schemas.status import ModelStatus

MESSAGES: dict[str, type[BaseModel]] = {
    "context": ContextEvent,
    "decision": Decision,
    "failed": FailedGeneration,
    "halt": Halt,
    "model": ModelEntry,
    "model-status": ModelStatus,
    "policy": Policy,
    "route": TagMessage,
}
READ = frozenset(("context", "halt", "model", "policy"))


def json_schemas() -> dict[str, dict[str, Any]]:
    """Name of the message to its JSON Schema: what bots and operators write as it is read, the rest as written."""
    return {
        name: model.model_json_schema(mode="validation" if name in READ else "serialization") for name, model in MESSAGES.items()
    }
