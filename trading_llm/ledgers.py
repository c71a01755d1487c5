"""`trading-llm ledger`: the contexts and what they came to, as files."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from replay import index
from replay.export import Export, ExportError, export, read_export
from replay.shelf import Damaged, Occupied
from schemas.canonical import rfc3339
from trading_llm import say
from trading_llm.exits import DidNotHold, WrongUse
from trading_llm.moments import From, To, as_options, span_of
from trading_llm.progress import Bar
from trading_llm.surroundings import settings

app = typer.Typer(help="The contexts and what they came to, as files.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="An export.", show_default=False)]
Out = Annotated[Path, typer.Option(help="The folder to write; one that was begun is gone on with.", show_default=False)]


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


@app.command(name="index")
def index_command(folder: Folder, json: say.Json = False) -> None:
    """Make the index of an export again: its outcomes by context, its generations, failed attempts too, by content key."""
    try:
        read_export(folder)
        with Bar() as bar:
            index.build(folder, partial(bar.told, "indexing"))
    except ExportError as error:
        raise WrongUse(str(error)) from None
    except (Damaged, Occupied) as error:
        raise DidNotHold(str(error)) from None
    with closing(index.Index(folder)) as made:
        counts = made.counts()
    if json:
        say.document({"index": str(folder / index.FILE), **counts})
    else:
        print(f"{folder / index.FILE}: {counts['outcomes']} outcomes, {counts['generations']} generations")


def write(out: Path, from_ms: int, to_ms: int) -> Export:
    """Export this range into this folder, with a bar for people."""
    try:
        with Bar() as bar:
            return asyncio.run(export(settings(), out, from_ms, to_ms, partial(bar.told, "exporting")))
    except ExportError as error:
        raise WrongUse(str(error)) from None
    except (Damaged, Occupied) as error:
        raise DidNotHold(str(error)) from None
    except OSError as error:
        raise DidNotHold(f"{out} cannot be written: {error}") from None
    except KeyboardInterrupt:
        raise DidNotHold(f"stopped; what was written is kept, and {as_options(from_ms, to_ms)} goes on from there") from None
