"""`trading-llm topics`: make the topics, with every lane's first offset, and check them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from backbone import topics
from backbone.errors import Fatal
from schemas.policy_flaw import PolicyError
from trading_llm import say
from trading_llm.exits import WrongUse
from trading_llm.surroundings import settings

app = typer.Typer(help="The pipeline's topics.", no_args_is_help=True)
Replication = Annotated[int, typer.Option(min=1, help="Copies of each partition; a cluster of three wants 3.")]


@app.command()
def apply(replication: Replication = 1, json: say.Json = False) -> None:
    """Make what is missing, commit each new lane's first offset, and put the default policy in force. Safe to repeat."""
    found = settings()
    try:
        done = asyncio.run(topics.apply(found, found.catalogue_names, replication))
    except PolicyError as error:
        raise WrongUse(str(error)) from None
    for warning in done.warnings:
        say.note(f"warning: {warning}")
    if json:
        say.document({"created": done.created, "lanes": done.lanes, "warnings": done.warnings})
    else:
        print(f"{len(done.created)} topics made, {done.lanes} lanes begun")


@app.command()
def check(json: say.Json = False) -> None:
    """Whether every topic is there with its partition count; exit 1 with what differs."""
    found = settings()
    try:
        asyncio.run(topics.check(found, found.catalogue_names))
    except Fatal as error:
        if str(error).startswith("broker"):
            raise
        if json:
            say.document({"holds": False, "why": str(error)})
        say.check(False, str(error))
    if json:
        say.document({"holds": True, "why": None})
    else:
        print(f"{len(topics.plan(found.catalogue_names))} topics are as planned")
