"""`trading-llm models`: what the catalogue holds, preparing and checking real weights, and sharing a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from backbone.settings import Settings
from schemas.catalogue import KvCacheDtype, ModelEntry
from trading_llm import models_plan, say
from trading_llm.exits import DidNotHold, WrongUse
from trading_llm.surroundings import settings
from workers.catalogue import CatalogueError, Served, load_catalogue, serve
from workers.gpu_memory import PlanError, Wish, reckon
from workers.gpu_remedies import remedies
from workers.preparing import prepare as take_in
from workers.snapshot import Snapshot, look_through

app = typer.Typer(help="The models of the catalogue.", no_args_is_help=True)
COMMIT = re.compile(r"[0-9a-f]{40}")
SKIPPED_SHOWN = 12
MIB = 1 << 20

Directory = Annotated[str, typer.Argument(metavar="DIR", help="The folder of a downloaded snapshot.", show_default=False)]
Model = Annotated[str, typer.Option("--model", help="Its name in the catalogue.", show_default=False)]
Revision = Annotated[str, typer.Option(help="The commit it was downloaded at: 40 hexadecimal digits.", show_default=False)]
Accepted = Annotated[bool, typer.Option("--accept-license", help="You have accepted the licence that was named.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names; without one, all.", show_default=False)]
Gpu = Annotated[float, typer.Option(help="The card's memory, GB: 16, 24, 48, 80, 141 or any other.", show_default=False)]
Models = Annotated[str, typer.Option(help="all, or names with commas: those that share the card.")]
Quantize = Annotated[Literal["none", "fp8", "awq"] | None, typer.Option(help="Fewer bits a weight, where a model offers it.")]
Cache = Annotated[KvCacheDtype | None, typer.Option(help="Fewer bits in the key-value cache.")]
Parallel = Annotated[int | None, typer.Option("--tensor-parallel", min=1, max=16, help="Equal cards that share each model.")]
Write = Annotated[str | None, typer.Option(help="Write each engine's share to this file.", show_default=False)]


@app.command(name="list")
def list_models(json: say.Json = False) -> None:
    """Every model, and what is served in its place here: its own weights where they lie, else a stand-in."""
    found = settings()
    rows = [_model(entry, _served(entry, found)) for entry in _catalogue(found).values()]
    if json:
        say.document(rows)
        return
    columns = ("name", "served", "revision", "license", "context_tokens", "concurrency", "knowledge_cutoff", "disk")
    shown = [row | {"served": _kind(row), "disk": f"{row['disk_bytes'] / MIB:,.1f} MiB"} for row in rows]
    say.table("models", columns, [[row[column] for column in columns] for row in shown])


@app.command()
def prepare(
    directory: Directory, model: Model, revision: Revision, accept_license: Accepted = False, json: say.Json = False
) -> None:
    """Take a downloaded snapshot, of weights or of an adapter, below TRADING_LLM_WEIGHTS, and list its digests."""
    found = settings()
    entry = _named(_catalogue(found), [model])[0]
    if found.weights is None:
        raise WrongUse("TRADING_LLM_WEIGHTS is not set: it names the folder below which real weights lie, one folder a model")
    if not COMMIT.fullmatch(revision):
        raise WrongUse(f"--revision {revision}: is no commit (40 hexadecimal digits): a branch or a tag can move")
    try:
        snapshot = look_through(Path(directory), entry)
        _check_license(entry, snapshot, accept_license)
        target = found.weights / snapshot.weights.directory
        files = take_in(snapshot, target, found.catalogue / f"{entry.name}.toml", revision)
    except (CatalogueError, OSError) as error:
        raise DidNotHold(str(error)) from None
    _tell_prepared(entry, snapshot, target, files, json)


@app.command()
def verify(names: Names = None, json: say.Json = False) -> None:
    """Whether every file of what is served is the one of the catalogue; exit 1 with each that is not, and the remedy."""
    found = settings()
    rows: list[dict[str, Any]] = []
    for entry in _named(_catalogue(found), names or []):
        for row in _checked(_served(entry, found)):
            rows.append(row)
            if not json:
                print(f"{'ok   ' if row['holds'] else 'wrong'}  {row['model']:10}  {row['file']}", flush=True)
    flaws = [row["flaw"] for row in rows if not row["holds"]]
    if json:
        say.document({"holds": not flaws, "files": rows})
    say.check(not flaws, "\n".join(flaws))


@app.command()
def plan(
    gpu: Gpu,
    models: Models = "all",
    quantization: Quantize = None,
    kv_cache_dtype: Cache = None,
    tensor_parallel: Parallel = None,
    write: Write = None,
    json: say.Json = False,
) -> None:
    """What these models take of a GPU together, each at its full concurrency and context; exit 1 where they do not fit."""
    if not gpu > 0:
        raise WrongUse(f"--gpu {gpu:g}: is no size: give the card's memory in GB")
    wish = Wish(quantization, kv_cache_dtype, tensor_parallel)
    catalogue = _catalogue(settings())
    entries = _named(catalogue, [] if models == "all" else models.split(","))
    try:
        memory = reckon(entries, gpu, wish)
    except PlanError as error:
        raise WrongUse(str(error)) from None
    instead = [] if memory.fits else remedies(entries, gpu, wish)
    if json:
        say.document(models_plan.document(memory, instead))
    else:
        models_plan.show(memory)
    say.check(memory.fits, models_plan.refusal(memory, instead))
    if write is not None:
        models_plan.write(memory, Path(write))


def _catalogue(found: Settings) -> dict[str, ModelEntry]:
    try:
        return load_catalogue(found.catalogue)
    except CatalogueError as error:
        raise WrongUse(str(error)) from None


def _named(catalogue: dict[str, ModelEntry], names: Sequence[str]) -> list[ModelEntry]:
    for name in names:
        if name not in catalogue:
            raise WrongUse(f"there is no model {name}: {', '.join(catalogue)}")
    return [catalogue[name] for name in dict.fromkeys(names)] or list(catalogue.values())


def _served(entry: ModelEntry, found: Settings) -> Served:
    try:
        return serve(entry, found.catalogue, found.weights)
    except CatalogueError as error:
        raise WrongUse(str(error)) from None


def _model(entry: ModelEntry, served: Served) -> dict[str, Any]:
    weights, adapter = served.serving.weights, served.serving.adapter
    return {
        "name": entry.name,
        "id": entry.weights.id,
        "revision": entry.weights.revision,
        "adapter": None if entry.adapter is None else entry.adapter.id,
        "served": weights.id if adapter is None else f"{weights.id} with {adapter.id}",
        "stand_in": served.stand_in,
        "license": entry.license,
        "gated": entry.weights.gated or (entry.adapter is not None and entry.adapter.gated),
        "context_tokens": entry.engine.context_tokens,
        "concurrency": entry.concurrency,
        "knowledge_cutoff": None if entry.knowledge_cutoff is None else entry.knowledge_cutoff.isoformat(),
        "disk_bytes": served.disk_bytes(),
    }


def _kind(row: dict[str, Any]) -> str:
    return "stand-in" if row["stand_in"] else "real"


def _check_license(entry: ModelEntry, snapshot: Snapshot, accepted: bool) -> None:
    if snapshot.weights.gated and not accepted:
        raise DidNotHold(
            f"{snapshot.weights.id} is handed out to who accepted its licence ({entry.license}): accept it where you "
            "download it, then say so with --accept-license"
        )


def _tell_prepared(entry: ModelEntry, snapshot: Snapshot, target: Path, files: dict[str, str], json: bool) -> None:
    if json:
        told = {"model": entry.name, "part": snapshot.part, "directory": str(target), "license": entry.license}
        say.document(told | {"files": files, "skipped": snapshot.skipped})
        return
    more = len(snapshot.skipped) - SKIPPED_SHOWN
    names = ", ".join(snapshot.skipped[:SKIPPED_SHOWN]) + (f", and {more} more" if more > 0 else "")
    print(f"{entry.name}: {len(files)} files of {snapshot.weights.id} lie in {target}, their digests in the catalogue")
    print(f"licence: {entry.license}")
    print(f"skipped: {names or 'nothing'}")
    if snapshot.part == "weights" and entry.adapter is not None:
        print(f"next: prepare its adapter, {entry.adapter.id}")


def _checked(served: Served) -> Iterator[dict[str, Any]]:
    """Each file as soon as it was read: real weights take minutes."""
    for checked in served.check():
        yield {
            "model": served.entry.name,
            "stand_in": served.stand_in,
            "file": str(checked.path),
            "holds": checked.flaw is None,
            "flaw": checked.flaw,
        }
