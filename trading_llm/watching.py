"""`trading-llm watch`: every decision as it comes."""

from __future__ import annotations

import asyncio
import json as codec
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console

from backbone.settings import Settings
from gateway.outcome import Answered, Outcome
from trading_llm import say
from trading_llm.exits import WrongUse
from trading_llm.link import Link
from trading_llm.rows import Rows, row_of
from trading_llm.surroundings import settings

OUTCOMES_MAX = 100_000
Count = Annotated[int | None, typer.Option(min=1, max=OUTCOMES_MAX, help="End after so many.")]
Seconds = Annotated[float | None, typer.Option(min=0.1, help="End after so long.")]


def watch(count: Count = None, seconds: Seconds = None, json: say.Json = False) -> None:
    """Show every outcome as it comes, from now on, until Ctrl-C, --count or --seconds."""
    if json and count is None and seconds is None:
        raise WrongUse("--json needs --count or --seconds: one document is written at the end")
    seen: list[dict[str, Any]] = []
    with Rows(Console(stderr=json)) as rows:

        def heard(outcome: Outcome) -> None:
            rows.show(row_of(outcome))
            if json and isinstance(outcome, Answered):
                seen.append(codec.loads(outcome.value))

        with suppress(KeyboardInterrupt):  # the way to end it
            asyncio.run(_watch(settings(), heard, count or OUTCOMES_MAX, seconds))
    if json:
        say.document(seen)


async def _watch(known: Settings, heard: Callable[[Outcome], None], count: int, seconds: float | None) -> None:
    came: asyncio.Queue[Outcome] = asyncio.Queue()
    link = Link(known, came.put_nowait)
    await link.start()
    try:
        async with asyncio.timeout(seconds):
            for _ in range(count):
                heard(await came.get())
    except TimeoutError:
        return
    finally:
        await link.stop()
