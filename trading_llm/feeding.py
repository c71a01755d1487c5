"""`trading-llm feed`: let the example bots ask on real candles."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console

from backbone.errors import Doubt
from backbone.settings import Settings
from examples.momentum_bot import bots
from gateway.outcome import Answered, Outcome
from trading_llm import say
from trading_llm.exits import Away
from trading_llm.feed import Fed, Feed, Shown
from trading_llm.link import Link
from trading_llm.rows import Rows, row_of
from trading_llm.surroundings import settings

CONTEXTS_MAX = 100_000
Contexts = Annotated[int, typer.Option(min=1, max=CONTEXTS_MAX, help="Questions in all, shared by twelve bots.")]
Rate = Annotated[float, typer.Option(min=0, max=10_000, help="Questions a second at most; 0: as fast as they are answered.")]


def feed(contexts: Contexts = 300, rate: Rate = 10.0, json: say.Json = False) -> None:
    """Let the example bots ask on real candles, and show each decision. Exit 1 unless every question had its outcome."""
    statuses: Counter[str] = Counter()
    with Rows(Console(stderr=json)) as rows:

        def shown(outcome: Outcome, latency_ms: float) -> None:
            statuses[outcome.status if isinstance(outcome, Answered) else outcome.reason] += 1
            rows.show(row_of(outcome, latency_ms))

        fed = asyncio.run(_feed(settings(), contexts, rate, shown))
    answered = len(fed.latency_ms)
    if json:
        say.document({"contexts": len(fed.sent), "outcomes": answered, "statuses": dict(statuses)})
    else:
        print(f"{len(fed.sent)} contexts, {answered} outcomes: {', '.join(f'{n} {name}' for name, n in statuses.most_common())}")
    say.check(answered == len(fed.sent), f"{len(fed.sent) - answered} questions had no outcome in time")


async def _feed(known: Settings, contexts: int, rate: float, shown: Shown) -> Fed:
    link = Link(known)
    await link.start()
    try:
        return await Feed(link, bots(), contexts, rate).run(shown)
    except* Doubt as doubts:
        raise Away(str(doubts.exceptions[0])) from None
    finally:
        await link.stop()
