"""The command line `trading-llm`: which commands there are."""

from __future__ import annotations

import logging

import typer

from trading_llm import deciding, demo, explaining, feeding, reference, stack, topics, watching
from trading_llm.exits import Commands

app = typer.Typer(
    cls=Commands,
    help="Send a market context; get one decision from the right self-hosted model. Research software, and no advice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(topics.app, name="topics")
app.add_typer(reference.models, name="models")
for command in (
    stack.up,
    stack.down,
    stack.status,
    deciding.decide,
    explaining.explain,
    watching.watch,
    feeding.feed,
    demo.demo,
    reference.schemas,
):
    app.command()(command)


@app.callback()
def _quiet() -> None:
    # A command says in one line what is away; the client library's own warnings would stand before it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
