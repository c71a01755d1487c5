"""`trading-llm explain`: one decision, with its whole trail, from the log."""

from __future__ import annotations

import asyncio
import json as codec
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console

from backbone import ledger
from backbone.settings import Settings
from gateway.outcome import Answered, Dead, outcome_of
from schemas.canonical import rfc3339
from schemas.decision import Decision
from schemas.headers import CONTEXT_ID, header_text
from schemas.question import decision_id, sender_key
from schemas.record import Record
from schemas.topic import DECISIONS
from trading_llm import say
from trading_llm.exits import DidNotHold, WrongUse
from trading_llm.surroundings import settings
from trading_llm.trail import tree

READ_S_MAX = 120.0
Name = Annotated[str, typer.Argument(help="A decision_id, or a context_id with --bot and --symbol.")]


@dataclass(slots=True)
class Found:
    """What the log holds of one question."""

    decision: Record | None = None
    letters: list[dict[str, Any]] = field(default_factory=list)


def explain(
    name: Name,
    bot: Annotated[str | None, typer.Option(help="The bot_id of a context_id.")] = None,
    symbol: Annotated[str | None, typer.Option(help="The symbol of a context_id.")] = None,
    json: say.Json = False,
) -> None:
    """A decision with its trail: what the rules saw, who was asked, what was said, what the limits changed."""
    if (bot is None) != (symbol is None):
        raise WrongUse("a context_id is named by --bot and --symbol together")
    found = asyncio.run(_find(settings(), name, (bot, symbol) if bot and symbol else None))
    if found.decision is None:
        _explain_letters(name, found, json)
        return
    trail = _trail(found.decision, found)
    if json:
        say.document({**codec.loads(found.decision.value), "trail": trail})
    else:
        Console().print(tree(Decision.from_bytes(found.decision.value), trail))


async def _find(known: Settings, name: str, sender: tuple[str, str] | None) -> Found:
    wanted = name if sender is None else decision_id(*sender, name)
    key = None if sender is None else sender_key(*sender)
    found = Found()
    try:
        async with asyncio.timeout(READ_S_MAX):
            async for record in ledger.read(known):
                if record.source.topic == DECISIONS:
                    if f'"decision_id":"{wanted}"'.encode() in record.value:
                        found.decision = record
                elif key in (None, record.key) and _is_about(record, name):
                    found.letters.append(_letter(record))
    except TimeoutError:
        raise DidNotHold(f"the log was not read whole within {READ_S_MAX:.0f} s") from None
    return found


def _is_about(record: Record, name: str) -> bool:
    """Whether this dead letter is of the context of this name: its header's, or its own bytes'."""
    if header_text(record.headers, CONTEXT_ID) == name:
        return True
    if codec.dumps(name, ensure_ascii=False).encode() not in record.value:
        return False
    try:
        body = codec.loads(record.value)
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("context_id") == name


def _letter(record: Record) -> dict[str, Any]:
    dead = outcome_of(record)
    assert isinstance(dead, Dead)
    moment = rfc3339(record.timestamp_ms)
    return {"src": str(dead.src), "at": str(record.source), "logged_at": moment, "reason": dead.reason, "detail": dead.detail}


def _trail(record: Record, found: Found) -> dict[str, Any]:
    outcome = outcome_of(record)
    assert isinstance(outcome, Answered)
    return {
        "src": str(outcome.src),
        "at": str(record.source),
        "logged_at": rfc3339(record.timestamp_ms),
        "dead_letters": found.letters,
    }


def _explain_letters(name: str, found: Found, json: bool) -> None:
    if not found.letters:
        raise DidNotHold(f"nothing in the log is named {name}: give a decision_id, or a context_id with --bot and --symbol")
    if json:
        say.document({"decision_id": None, "trail": {"dead_letters": found.letters}})
    else:
        for letter in found.letters:
            print(f"dead letter of {letter['src']}: {letter['reason']}: {letter['detail']}")
