"""`trading-llm schemas` and `models list`: what the messages and the models are."""

from __future__ import annotations

import json as codec
from typing import Annotated, Any

import typer

from backbone.settings import Settings
from schemas.catalogue import ModelEntry
from schemas.documents import json_schemas
from trading_llm import say
from trading_llm.exits import WrongUse
from trading_llm.surroundings import settings
from workers.catalogue import CatalogueError, load_catalogue, serve

models = typer.Typer(help="The models of the catalogue.", no_args_is_help=True)


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


@models.command(name="list")
def list_models(json: say.Json = False) -> None:
    """Every model, and what is served in its place here: its own weights where they lie, else a stand-in."""
    found = settings()
    try:
        rows = [_model(entry, found) for entry in load_catalogue(found.catalogue).values()]
    except CatalogueError as error:
        raise WrongUse(str(error)) from None
    if json:
        say.document(rows)
    else:
        columns = ("name", "id", "revision", "adapter", "served", "stand_in")
        say.table("models", columns, [[row[column] for column in columns] for row in rows])


def _model(entry: ModelEntry, found: Settings) -> dict[str, Any]:
    served = serve(entry, found.catalogue, found.weights)
    weights, adapter = served.serving.weights, served.serving.adapter
    return {
        "name": entry.name,
        "id": entry.weights.id,
        "revision": entry.weights.revision,
        "adapter": None if entry.adapter is None else entry.adapter.id,
        "served": weights.id if adapter is None else f"{weights.id} with {adapter.id}",
        "stand_in": served.stand_in,
    }
