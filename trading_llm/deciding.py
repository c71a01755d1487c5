"""`trading-llm decide`: ask one question, and show its decision."""

from __future__ import annotations

import asyncio
import json as codec
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway.problems import Problem
from schemas.decision import Decision
from trading_llm import say
from trading_llm.client import Client, NoDecision, Unreachable
from trading_llm.exits import Away, DidNotHold, WrongUse
from trading_llm.surroundings import settings
from trading_llm.trail import tree

File = Annotated[str | None, typer.Argument(help="A file with the context event as JSON; - reads standard input.")]
Bot = Annotated[str | None, typer.Option(help="bot_id")]
Symbol = Annotated[str | None, typer.Option(help="symbol, such as BTCUSDT")]
Price = Annotated[float | None, typer.Option(help="context.price")]
Volume = Annotated[float | None, typer.Option(help="context.volume")]
Model = Annotated[str | None, typer.Option(help="model_preference: a name of the catalogue")]
ContextId = Annotated[str | None, typer.Option(help="context_id: sent twice, it is decided once")]
Http = Annotated[bool, typer.Option("--http", help="Ask the gateway at LLM_ENDPOINT instead of Kafka.")]
Wait = Annotated[float, typer.Option(min=0.1, max=300, help="Seconds to wait for the decision.")]


def decide(
    file: File = None,
    bot: Bot = None,
    symbol: Symbol = None,
    price: Price = None,
    volume: Volume = None,
    model: Model = None,
    context_id: ContextId = None,
    http: Http = False,
    wait: Wait = 30.0,
    json: say.Json = False,
) -> None:
    """Ask one question, given as JSON, by options, or both (options win), and show its decision. Exit 1 where none came."""
    market = {"price": price, "volume": volume}
    envelope = {"bot_id": bot, "symbol": symbol, "model_preference": model, "context_id": context_id}
    event = _event(_given(file), market, envelope)
    decision = asyncio.run(_ask(event, wait, http))
    if json:
        print(decision.to_bytes().decode())
    else:
        Console().print(tree(decision))


async def _ask(event: dict[str, Any], wait_s: float, http: bool) -> Decision:
    try:
        async with Client("http" if http else "kafka", settings()) as client:
            return await client.decide(event, wait_s)
    except Problem as error:
        if error.details.status < 500 and error.details.status not in (409, 429):
            raise WrongUse(error.details.detail) from None
        raise DidNotHold(error.details.detail) from None
    except Unreachable as error:
        raise Away(str(error)) from None
    except NoDecision as error:
        raise DidNotHold(str(error)) from None


def _given(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        event = codec.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongUse(f"{file}: {error}") from None
    if not isinstance(event, dict):
        raise WrongUse(f"{file}: must hold a JSON object, the context event")
    return event


def _event(given: dict[str, Any], market: dict[str, Any], envelope: dict[str, Any]) -> dict[str, Any]:
    """The event with what the options say put over it; a market is there even where nothing is known of it."""
    event = given | {name: value for name, value in envelope.items() if value is not None}
    known = {name: value for name, value in market.items() if value is not None}
    context = event.get("context", {})
    return event | {"context": context | known if isinstance(context, dict) else context}
