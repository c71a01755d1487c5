"""`trading-llm ledger`: the contexts and what they came to, as files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from replay.export import Export, ExportError, export
from schemas.canonical import rfc3339
from trading_llm import say
from trading_llm.exits import WrongUse
from trading_llm.moments import From, To, span_of
from trading_llm.progress import Bar
from trading_llm.surroundings import settings

app = typer.Typer(help="The contexts and what they came to, as files.", no_args_is_help=True)
Out = Annotated[Path, typer.Option(help="The folder to write; one that was begun is gone on with.", show_default=False)]


@app.callback()
def _group() -> None:
    """The contexts and what they came to, as files."""


@app.command(name="export")
def export_command(out: Out, since: From, until: To = None, json: say.Json = False) -> None:
    """Contexts of a range of time, what they came to, and the policies, as Parquet by day. Goes on after a kill."""
    from_ms, to_ms = span_of(since, until)
    done = write(out, from_ms, to_ms)
    if json:
        span = {"from": rfc3339(done.from_ms), "to": rfc3339(done.to_ms)}
        say.document({"out": str(out), **span, "records": dict(done.records)})
    else:
        print(f"{out}: " + ", ".join(f"{count} of {topic}" for topic, count in done.records.items()))


def write(out: Path, from_ms: int, to_ms: int) -> Export:
    """Export this range into this folder, with a bar for people."""
    try:
        with Bar() as bar:
            told = lambda done, total: bar.told("exporting", done, total)  # noqa: E731
            return asyncio.run(export(settings(), out, from_ms, to_ms, told))
    except ExportError as error:
        raise WrongUse(str(error)) from None
