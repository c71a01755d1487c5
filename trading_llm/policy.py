"""`trading-llm policy`: check a policy, see why it chooses, what another would change, and put one in force."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from backbone import ledger, topics
from backbone.settings import Settings
from schemas.canonical import rfc3339
from schemas.context import read_context
from schemas.market import interval_ms
from schemas.policy import Policy
from schemas.policy_flaw import PolicyError
from schemas.record import Record
from schemas.refusal import DeadLettered, Rejected
from schemas.source import Source
from schemas.topic import CONTEXTS
from trading_llm import policy_explain, policy_recorded, say
from trading_llm.exits import DidNotHold, WrongUse
from trading_llm.policy_choice import Choice, Ground, choose
from trading_llm.policy_diff import Difference
from trading_llm.surroundings import settings

CONTEXTS_MAX = 20_000  # tried by one diff unless told otherwise: 10 s at most, at 0.5 ms for one with an hour of candles

app = typer.Typer(help="The rules that choose a model.", no_args_is_help=True)
File = Annotated[str, typer.Argument(help="A policy file, TOML.", show_default=False)]
Other = Annotated[str, typer.Argument(help="The policy file that would take its place.", show_default=False)]
ContextFile = Annotated[str, typer.Argument(help="A context event as JSON; - reads standard input.", show_default=False)]
Since = Annotated[str, typer.Option(help="How far back: 30m, 1h, 2d.")]
MOST_HELP = "At most so many, the newest; counted by offsets, not all of which hold one."
Most = Annotated[int, typer.Option("--contexts", min=1, max=1_000_000, help=MOST_HELP)]


@app.command()
def check(file: File, json: say.Json = False) -> None:
    """Whether this file may be put in force; exit 1 with what is wrong, on which line, and the remedy."""
    try:
        policy = Policy.from_file(_text(file), Path(file).name, settings().catalogue_names)
    except PolicyError as error:
        if json:
            say.document({"holds": False, "version": None, "digest": None, "flaws": error.lines})
        raise DidNotHold("\n".join(error.lines)) from None
    if json:
        say.document({"holds": True, "version": policy.version, "digest": policy.digest, "flaws": []})
    else:
        print(f"{file} is sound: version {policy.version}, digest {policy.digest}")


@app.command()
def explain(file: File, context: ContextFile, json: say.Json = False) -> None:
    """Which model this policy would choose for a context, and why. Asks nobody; takes every model to be well."""
    known = settings()
    policy = _policy(file, known)
    told = policy_explain.document(_chosen(_context(context), policy, Ground.of(known)), policy)
    if json:
        say.document(told)
    else:
        Console().print(policy_explain.tree(told))


@app.command()
def diff(a: File, b: Other, since: Since = "1h", most: Most = CONTEXTS_MAX, json: say.Json = False) -> None:
    """How many of the recorded contexts B would send to another model than A does, and which. By the policies alone."""
    known = settings()
    since_ms = _now_ms() - _span_ms(since)
    tried = Difference(_policy(a, known), _policy(b, known), Ground.of(known))
    cut = asyncio.run(_try(known, tried, since_ms, most))
    if cut:
        say.note(f"warning: the span holds more: its newest {most} offsets, {tried.contexts} contexts, were tried (--contexts)")
    if json:
        policies = {name: {"version": each.version, "digest": each.digest} for name, each in (("a", tried.old), ("b", tried.new))}
        say.document({"since": rfc3339(since_ms), "cut": cut, **policies, **tried.document()})
    else:
        _show(tried)


@app.command()
def apply(file: File, json: say.Json = False) -> None:
    """Check this file and put it in force: contexts that the router takes up from now on are decided by it, whole."""
    known = settings()
    policy = _policy(file, known, restricted=False)
    was = asyncio.run(_put(known, policy, Path(file).name))
    if was is not None and was.version == policy.version and was.digest != policy.digest:
        say.note(f"warning: another text was in force under version {policy.version} too: count it up at each change")
    if json:
        say.document({"version": policy.version, "digest": policy.digest, "was": None if was is None else was.digest})
    else:
        print(f"in force: version {policy.version}, digest {policy.digest}")


@app.command()
def show(json: say.Json = False) -> None:
    """The policy in force, word for word; exit 1 where none is."""
    policy = asyncio.run(topics.policy_in_force(settings()))
    if policy is None:
        raise DidNotHold("no policy is in force that can be read: run `trading-llm topics apply`, or `policy apply` with a file")
    if json:
        say.document({"version": policy.version, "digest": policy.digest, "text": policy.text})
    else:
        sys.stdout.write(policy.text)


def _policy(file: str, known: Settings, *, restricted: bool = True) -> Policy:
    """The policy in this file, as the processes have it: restricted to the models that run."""
    try:
        policy = Policy.from_file(_text(file), Path(file).name, known.catalogue_names)
    except PolicyError as error:
        raise DidNotHold("\n".join(error.lines)) from None
    return policy.restricted_to(known.models) if restricted else policy


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongUse(f"{file}: {error}") from None


def _context(file: str) -> Record:
    """The context as if the log had just taken it."""
    try:
        value = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise WrongUse(f"{file}: {error}") from None
    return Record(Source(CONTEXTS, 0, 0), None, value, (), _now_ms())


def _chosen(record: Record, policy: Policy, ground: Ground) -> Choice:
    try:
        return choose(read_context(record), record, policy, ground)
    except DeadLettered as error:
        raise DidNotHold(f"no model is chosen: this context is a dead letter: {error}") from None
    except Rejected as error:
        raise DidNotHold(f"no model is chosen: this context is REJECTED: {error}") from None


async def _try(known: Settings, tried: Difference, since_ms: int, most: int) -> bool:
    span = await policy_recorded.span(known, since_ms, most)
    async for record in ledger.read(known, span.firsts, (CONTEXTS,), span.ends):
        tried.take(record)
    return span.cut


async def _put(known: Settings, policy: Policy, name: str) -> Policy | None:
    """Put it in force; answers what was."""
    was = await topics.policy_in_force(known)
    await topics.publish_policy(known, policy.text, name)
    return was


def _show(tried: Difference) -> None:
    told: dict[str, Any] = tried.document()
    for title, name in (("by model", "by_model"), ("by rule", "by_rule")):
        if told[name]:
            say.table(title, ("from", "to", "contexts"), [tuple(row.values()) for row in told[name]])
    columns = ("src", "bot_id", "symbol", "from", "to")
    rows = [(e["src"], e["bot_id"], e["symbol"], _way(e["from"]), _way(e["to"])) for e in told["examples"]]
    if rows:
        say.table("for example", columns, rows)
    changed, terms, refused = told["changed"], told["other_terms"], told["refused"]
    print(f"{changed} of {told['contexts']} contexts would go to another model, {terms} more be judged by other terms")
    if refused:
        print(f"{refused} are refused whatever the policy: none sees them")


def _way(sent: dict[str, str | None]) -> str:
    return f"{sent['model']} ({sent['rule'] or '-'})"


def _span_ms(text: str) -> int:
    try:
        return interval_ms(text)
    except ValueError as error:
        raise WrongUse(f"--since {text}: {error}") from None


def _now_ms() -> int:
    return int(time.time() * 1000)
