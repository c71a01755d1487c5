"""How the command line speaks: one document or one table on standard output, messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from trading_llm.exits import DidNotHold

WIDTH_WITHOUT_TERMINAL = 240  # a pipe has no edge at which to cut

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def document(value: object) -> None:
    """The one document of a command that was asked for --json."""
    print(json.dumps(value, ensure_ascii=False))


def note(text: str) -> None:
    """A message for people."""
    print(text, file=sys.stderr, flush=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows for people; what is None shows as a dash."""
    shown = Table(*columns, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*("-" if cell is None else str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL).print(shown)


def check(holds: bool, why: str) -> None:
    """End the command with 1, and say why, where something does not hold."""
    if not holds:
        raise DidNotHold(why)
