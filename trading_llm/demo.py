"""`trading-llm demo`: the whole pipeline, brought up for the length of one feed, and judged by its own log."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from backbone import ledger
from backbone.errors import Doubt
from backbone.settings import REPOSITORY, Settings
from deploy.local import MachineError, Plan, Ports, running
from deploy.local.errors import PortTakenError
from deploy.local.ports import VARIABLES, check_free
from examples.momentum_bot import bots
from gateway.outcome import Outcome, outcome_of
from trading_llm.exits import Away, DidNotHold
from trading_llm.feed import Fed, Feed
from trading_llm.link import Link
from trading_llm.rows import Rows, row_of
from trading_llm.summary import Summary, lines, summarise
from workers.catalogue import load_catalogue

FEED_S_MAX = 300.0  # 300 contexts take a minute; a pipeline that stands still is given up here
ANSWER_S_MAX = 60.0
# The founding document's own request.
BODY = {"context": {"price": 45000}, "bot_id": "test", "symbol": "BTCUSDT"}
SHOWN = ("status", "action", "size_pct", "confidence", "probs", "rationale", "reason", "valid_until", "timings_ms")

Contexts = Annotated[int, typer.Option(min=10, max=10_000, help="Questions in all.")]
Rate = Annotated[float, typer.Option(min=0, help="Questions a second at most; 0: as fast as they are answered.")]


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is asked, and how fast."""

    contexts: int
    rate: float


def demo(contexts: Contexts = 300, rate: Rate = 8.0) -> None:
    """Bring the pipeline up on real Kafka, ask one question by HTTP and 300 by Kafka, sum up, and stop everything.

    Exit 1 unless every context has one outcome, each model that runs answered a tenth, and half are DECIDED. Shaped by
    ENGINE and MODELS.
    """
    parent = REPOSITORY / ".local"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=parent))
    keep = False
    try:
        _demo(_plan(folder / "stack"), Shape(contexts, rate), Console())
    except (DidNotHold, Away, MachineError):
        keep = (folder / "logs").exists()  # they say why
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _demo(plan: Plan, shape: Shape, console: Console) -> None:
    for line in introduction(plan, Settings().catalogue):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    summary = _run(plan, shape, console)
    for line in lines(summary):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if flaws := summary.flaws(shape.contexts, plan.models):
        raise DidNotHold("; ".join(flaws) + f"; the processes' logs are in {plan.logs}")


def _plan(state_dir: Path) -> Plan:
    """The demo's own stack. It moves away from ports that are taken, unless the environment names them."""
    plan = replace(Plan.from_environment(os.environ), state_dir=state_dir)
    try:
        check_free(plan.ports_wanted())
    except PortTakenError:
        if any(os.environ.get(variable) for variable in VARIABLES.values()):
            raise
        return replace(plan, ports=Ports.free(plan.routers + plan.workers * len(plan.models)))
    return plan


def introduction(plan: Plan, catalogue: Path) -> list[str]:
    """The first lines: that these are stand-ins, whose place they take, and that they know nothing of markets."""
    entries = load_catalogue(catalogue)
    if missing := [name for name in plan.models if name not in entries]:
        raise MachineError(f"MODELS: {missing[0]} is not in the catalogue: {', '.join(entries)}")
    places = [f"{name} for {(entries[name].adapter or entries[name].weights).id}" for name in plan.models]
    what = "STAND-INS, tiny models trained in minutes" if plan.engine == "vllm" else "STAND-INS, a script without a model"
    return [
        f"These are {what}: {', '.join(places)}. They know nothing of markets.",
        "No order is placed. This is research software, and no advice.",
    ]


def _run(plan: Plan, shape: Shape, console: Console) -> Summary:
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True)

    with running(plan, say):
        os.environ.update(plan.settings)
        say("everything is ready")
        _curl(plan, console)
        summary = asyncio.run(_feed(Settings(), shape, console))
        say("asked everything; stopping")
    return summary


def _curl(plan: Plan, console: Console) -> None:
    """The founding document's request, as anybody would send it, and the heart of its answer."""
    url = f"http://localhost:{plan.ports.gateway}/decide"
    body = json.dumps(BODY)
    shown = f"curl -X POST {url} -H 'Content-Type: application/json' -d '{body}'"
    console.print(f"\n$ {shown}", highlight=False, markup=False, soft_wrap=True)
    try:
        response = httpx.post(f"http://127.0.0.1:{plan.ports.gateway}/decide", json=BODY, timeout=ANSWER_S_MAX)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise Away(f"the gateway gave no decision: {error!r}; see {plan.logs / 'gateway.log'}") from None
    console.print(heart(response.json()), highlight=False, markup=False, soft_wrap=True)


def heart(decision: dict[str, Any]) -> str:
    """What a person looks for in a decision, as JSON; `trading-llm explain` shows the rest."""
    model, route = decision["model"] or {}, decision["route"]
    shown = {name: _short(decision[name]) for name in SHOWN if decision[name] not in (None, "")}
    named = {"model": model.get("name"), "rule": route["rule"], "why": route["reason"]}
    rows = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in (shown | named).items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _short(value: Any) -> Any:
    """The value with its numbers to four places: a person does not read sixteen."""
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value


async def _feed(settings: Settings, shape: Shape, console: Console) -> Summary:
    since = await ledger.ends(settings)
    link = Link(settings)
    await link.start()
    try:
        with Rows(console) as rows:
            fed = await _fed(link, shape, rows)
    finally:
        await link.stop()
    # Counted from the log, as any reader of committed records sees it, and not from what the bots were told.
    outcomes = [outcome_of(record) async for record in ledger.read(settings, since)]
    return summarise(fed.sent.keys(), outcomes, fed.latency_ms)


async def _fed(link: Link, shape: Shape, rows: Rows) -> Fed:
    def shown(outcome: Outcome, latency_ms: float) -> None:
        rows.show(row_of(outcome, latency_ms))

    feed = Feed(link, bots(), shape.contexts, shape.rate)
    try:
        with suppress(TimeoutError):  # the summary says what is missing
            async with asyncio.timeout(FEED_S_MAX):
                await feed.run(shown)
    except* Doubt as doubts:
        raise Away(str(doubts.exceptions[0])) from None
    return feed.fed
