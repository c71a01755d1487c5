"""The command line `trading-llm`: which commands there are."""

from __future__ import annotations

import typer

from trading_llm import stack, topics
from trading_llm.exits import Commands

app = typer.Typer(
    cls=Commands,
    help="Send a market context; get one decision from the right self-hosted model. Research software, and no advice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(topics.app, name="topics")
for command in (stack.up, stack.down, stack.status):
    app.command()(command)
