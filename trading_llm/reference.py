"""`trading-llm schemas`: what the messages are."""

from __future__ import annotations

import json as codec
from typing import Annotated

import typer

from schemas.documents import json_schemas
from trading_llm import say
from trading_llm.exits import WrongUse


def schemas(
    name: Annotated[str | None, typer.Argument(help="context, decision, …; without it all of them, by name.")] = None,
    json: say.Json = False,
) -> None:
    """The JSON Schema of every message, or of one."""
    known = json_schemas()
    if name is not None and name not in known:
        raise WrongUse(f"there is no message {name}: {', '.join(known)}")
    shown = known if name is None else known[name]
    print(codec.dumps(shown, indent=None if json else 2, ensure_ascii=False))
