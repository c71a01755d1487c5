"""The command line `trading-llm`: which commands there are, each loaded when it is named."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import typer

from trading_llm.exits import Commands

HOMES = {
    "up": "trading_llm.stack:up",
    "down": "trading_llm.stack:down",
    "status": "trading_llm.stack:status",
    "topics": "trading_llm.topics:app",
    "policy": "trading_llm.policy:app",
    "decide": "trading_llm.deciding:decide",
    "explain": "trading_llm.explaining:explain",
    "audit": "trading_llm.audit:audit",
    "ledger": "trading_llm.ledgers:app",
    "replay": "trading_llm.replays:app",
    "backtest": "trading_llm.backtests:backtest",
    "watch": "trading_llm.watching:watch",
    "feed": "trading_llm.feeding:feed",
    "models": "trading_llm.models:app",
    "schemas": "trading_llm.reference:schemas",
    "demo": "trading_llm.demo:demo",
}


class Front(Commands):
    """The commands by their names: what one of them imports, the others need not wait for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of this file."""
        return list(HOMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None where there is none of this name."""
        if cmd_name not in HOMES:
            return None
        module, _, name = HOMES[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=Front,
    help="Send a market context; get one decision from the right self-hosted model. Research software, and no advice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _quiet() -> None:
    # A command says in one line what is away; the client library's own warnings would stand before it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
