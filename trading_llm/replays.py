"""`trading-llm replay`: history decided again by today's code, from the answers that were recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from backbone.settings import Settings
from replay import compare as comparing
from replay import plan
from replay import run as running
from replay import verify as verifying
from replay.again import Miss
from replay.asking import Unanswered
from replay.candles import CandleError, source_of
from replay.export import ExportError, read_export
from replay.inference import Leak
from replay.plan import Means, Plan, PlanError
from replay.shelf import Damaged, Occupied
from router.choice import load_choice
from schemas.policy import Policy
from schemas.policy_flaw import PolicyError
from trading_llm import ledgers, say
from trading_llm.exits import DidNotHold, WrongUse
from trading_llm.market_files import market_files
from trading_llm.moments import MOMENT, as_options, span_of
from trading_llm.progress import Bar
from trading_llm.surroundings import settings
from workers.catalogue import CatalogueError, load_catalogue, serve
from workers.engine import identity_of
from workers.gpu_plan import with_share

PROCESSES_MAX = 256

app = typer.Typer(help="History decided again, from the answers that were recorded.", no_args_is_help=True)
From = Annotated[str | None, typer.Option("--from", help=f"The first moment by the log's clock: {MOMENT}")]
To = Annotated[str | None, typer.Option("--to", help="The moment before which it ends, told alike.")]
Source = Annotated[Path | None, typer.Option(help="An export to read, in the place of the topics.", show_default=False)]
Csv = Annotated[
    list[str] | None, typer.Option(metavar="SYMBOL=FILE", help="Candles to ask about; may be given again.", show_default=False)
]
Every = Annotated[int, typer.Option(min=1, help="With --csv: a context every so many candles.")]
Mask = Annotated[bool, typer.Option("--mask", help="With --engine infer: without market and time, lest a model remember.")]
Symbols = Annotated[str | None, typer.Option(help="Only these symbols, with commas.", show_default=False)]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="This policy in the place of the recorded ones.")]
Models = Annotated[str | None, typer.Option(help="The models that run, with commas; else as the stack has it.")]
Fleet = Annotated[Literal["recorded", "healthy"], typer.Option(help="Who could be asked: as recorded, or everybody.")]
Engine = Annotated[Literal["recorded", "infer"], typer.Option(help="Where answers come from: records, or the models again.")]
OnMiss = Annotated[
    Literal["stop", "abstain", "infer"], typer.Option(help="An answer that is not recorded: stop, abstain, or ask the model.")
]
Processes = Annotated[int, typer.Option(min=1, max=PROCESSES_MAX, help="How many decide side by side.")]
Runs = Annotated[Path | None, typer.Option("--runs", help="Where runs are kept; else below the stack's folder.")]
Manifest = Annotated[Path, typer.Argument(help="A run's manifest.json, or its folder.", show_default=False)]
Ledger = Annotated[Path, typer.Argument(help="A run, or an export: what was recorded.", show_default=False)]


@app.command()
def run(
    since: From = None,
    until: To = None,
    source: Source = None,
    csv: Csv = None,
    every: Every = 1,
    mask: Mask = False,
    symbols: Symbols = None,
    policy: PolicyFile = None,
    models: Models = None,
    fleet: Fleet = "recorded",
    engine: Engine = "recorded",
    on_miss: OnMiss = "stop",
    processes: Processes = 1,
    runs: Runs = None,
    json: say.Json = False,
) -> None:
    """Decide a range of time again. Goes on after a kill.

    With --engine recorded no model is asked, and an answer that is not recorded stops it. With --engine infer the running models
    are asked, behind all that is live; what they say counts as recorded from then on.
    """
    if engine == "recorded" and mask:
        raise WrongUse("--mask: goes with --engine infer: what was recorded was asked as it was")
    if csv is None and every != 1:
        raise WrongUse("--every: goes with --csv: contexts that were asked are all decided again")
    if engine == "infer":
        _as_it_runs({"policy": policy, "models": models, "fleet": fleet, "on-miss": on_miss, "processes": processes})
    known = settings()
    kept = runs or known.state_dir / "replays"
    with _said():
        means = _means(known)
        source = source if csv is None else _candles(csv, every, kept, engine, source)
        span = _span(since, until, source)
    # Named as moments: what was told as how long ago, or as now, is another range by then.
    with _said(f"the same command with {as_options(*span)}"), Bar() as bar:
        held = source or _exported(kept, span)
        wanted = Plan(
            source=held.resolve(),
            from_ms=span[0],
            to_ms=span[1],
            symbols=tuple(sorted(_listed(symbols))),
            policy=None if policy is None else _policy(policy, known),
            models=_models(models, known),
            fleet=fleet,
            on_miss=on_miss,
            min_confidence=known.min_llm_confidence,
            router=known.router,
            engine=engine,
            mask=mask,
        )
        folder = running.folder_of(kept, wanted, means)
        document = running.run(wanted, means, folder, processes, bar.told)
    _tell(document, folder, json)


@app.command()
def verify(manifest: Manifest, processes: Processes = 1, json: say.Json = False) -> None:
    """Run a manifest's plan again; exit 1, with what is not alike, unless every decision comes out the same."""
    with _said(), Bar() as bar:
        found = verifying.verify(manifest, _means(settings()), processes, bar.told)
    if json:
        digests = {"root_digest": found.root_digest, "found": found.found}
        say.document({"holds": found.holds, **digests, "differs": found.differs})
    differs = f"; not alike either: {', '.join(found.differs)}" if found.differs else ""
    say.check(found.holds, f"the decisions have the digest {found.found}, not {found.root_digest}{differs}")
    if not json:
        print(f"every decision is the same: {found.found}{differs}")


@app.command()
def compare(a: Ledger, b: Ledger, json: say.Json = False) -> None:
    """Which decisions of two runs, or of a run and an export, differ, and why."""
    with _said():
        found = comparing.compare(a, b)
    told = found.document()
    if json:
        say.document(told)
        return
    if told["by_cause"]:
        say.table("different, by the first cause", ("cause", "decisions"), list(told["by_cause"].items()))
        rows = [(each["src"], each["bot_id"], each["symbol"], ", ".join(each["why"]), _ways(each)) for each in told["examples"]]
        say.table("for example", ("src", "bot_id", "symbol", "why", "what"), rows)
    print(f"{found.different} of {found.decisions} differ, {found.only_a} are only in the first, {found.only_b} in the second")


@contextmanager
def _said(again: str = "the same command") -> Iterator[None]:
    """Every ending of a replay as the command line says it. `again`: what goes on where Ctrl-C stopped it."""
    try:
        yield
    except (Miss, Unanswered, Leak) as error:
        raise DidNotHold(str(error)) from None
    except (running.Stopped, Damaged, Occupied) as error:
        raise DidNotHold(str(error)) from None
    except (PlanError, ExportError, CandleError, CatalogueError, PolicyError) as error:
        raise WrongUse(str(error)) from None
    except (OSError, sqlite3.Error) as error:
        raise DidNotHold(f"a folder cannot be read or written: {error}") from None
    except KeyboardInterrupt:
        raise DidNotHold(f"stopped; what was decided is kept, and {again} goes on from there") from None


def _as_it_runs(told: dict[str, Any]) -> None:
    """Raises WrongUse for an option that says how to decide where the running processes do."""
    plain = {"policy": None, "models": None, "fleet": "recorded", "on-miss": "stop", "processes": 1}
    for name, value in told.items():
        if value != plain[name]:
            raise WrongUse(f"--{name}: goes with --engine recorded; with infer the running processes decide, as they are")


def _means(known: Settings) -> Means:
    """The models as a worker would serve them here."""
    catalogue = load_catalogue(known.catalogue)
    served = {name: with_share(serve(entry, known.catalogue, known.weights), known.gpu_plan) for name, entry in catalogue.items()}
    identities = {name: identity_of(known.engine, each) for name, each in served.items()}
    return Means(identities, partial(load_choice, known.router, known.catalogue_names), known)


def _span(since: str | None, until: str | None, source: Path | None) -> tuple[int, int]:
    """The range; that of the export where it is not narrowed."""
    if source is None:
        if since is None:
            raise WrongUse("--from: say where to begin, or name an export with --source")
        return span_of(since, until)
    held = read_export(source)
    if since is None and until is None:
        return held.from_ms, held.to_ms
    from_ms, to_ms = span_of(since or "1970-01-01T00:00:00Z", until)
    from_ms, to_ms = max(from_ms, held.from_ms), min(to_ms, held.to_ms)
    if from_ms >= to_ms:
        raise WrongUse(f"--from, --to: lie outside of what {source} holds: {as_options(held.from_ms, held.to_ms)}")
    return from_ms, to_ms


def _candles(files: list[str], every: int, kept: Path, engine: str, source: Path | None) -> Path:
    """The candles' contexts, as an export has them."""
    if engine != "infer" or source is not None:
        raise WrongUse("--csv: goes with --engine infer and without --source: nobody has decided about candles yet")
    return source_of(market_files("--csv", files), every, kept)


def _exported(kept: Path, span: tuple[int, int]) -> Path:
    """The topics' range as files: what is read again and again is read from the log once."""
    folder = kept / f"ledger-{span[0]}-{span[1]}"
    ledgers.write(folder, *span)
    return folder


def _policy(file: Path, known: Settings) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongUse(f"{file}: {error}") from None
    return Policy.from_file(text, file.name, known.catalogue_names).text


def _models(names: str | None, known: Settings) -> tuple[str, ...]:
    chosen = known.models if names is None else _listed(names)
    if not chosen:
        raise WrongUse("--models: names none; want one or more, with commas")
    if unknown := [name for name in chosen if name not in known.catalogue_names]:
        raise WrongUse(f"--models {unknown[0]}: is not in the catalogue: {', '.join(known.catalogue_names)}")
    return chosen


def _listed(names: str | None) -> tuple[str, ...]:
    """What an option names, each once, in its order; spaces around the commas are nothing."""
    return tuple(dict.fromkeys(filter(None, (name.strip() for name in (names or "").split(",")))))


def _tell(document: dict[str, Any], folder: Path, json: bool) -> None:
    counts = document["counts"]
    told = {
        "run_id": document["run_id"],
        "contexts": counts["contexts"],
        "decisions": counts["decisions"],
        "misses": counts["misses"],
        "engine_calls": document["engine_calls"],
        "root_digest": document["root_digest"],
        "manifest": str(folder / plan.FILE),
    }
    if json:
        say.document(told)
        return
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(counts["statuses"].items()))
    print(f"run {told['run_id']}: {told['contexts']} contexts, {told['decisions']} decisions ({statuses})")
    print(f"{counts['dead_letters']} dead letters, {counts['open']} without an outcome yet, {told['misses']} without an answer")
    print(f"digest {told['root_digest']}\n{told['manifest']}")


def _ways(example: dict[str, Any]) -> str:
    return ", ".join(f"{name} {before} → {after}" for name, (before, after) in example["differs"].items())
