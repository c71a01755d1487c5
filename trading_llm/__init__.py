"""The front door for people and bots: the command line, the client library, and the router to derive from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.model_router import ModelType, Request
    from trading_llm.client import Client, NoDecision
    from trading_llm.router import ModelRouter

__all__ = ["Client", "ModelRouter", "ModelType", "NoDecision", "Request"]

_HOMES = {
    "Client": "trading_llm.client",
    "ModelRouter": "trading_llm.router",
    "ModelType": "router.model_router",
    "NoDecision": "trading_llm.client",
    "Request": "router.model_router",
}


def __getattr__(name: str) -> Any:
    """Each name from its home, only when it is asked for: the command line starts without the client, a bot without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
