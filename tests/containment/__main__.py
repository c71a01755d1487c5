"""Asks every attacked context of the real stand-ins, and prints what it changed: `python -m tests.containment`.

`--contexts N` attacks fewer markets, `--only qwen phi3` asks fewer models. The figures also go, as JSON, to `.local/containment`.
Exit 0 where every decision is inside schema and limits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.containment.containing import FOLDER
from tests.containment.corpus import CONTEXTS
from tests.containment.flips import measure, written

FIGURES = Path(__file__).resolve().parents[2] / ".local" / "containment"
WIDTH = 150
# Each column's heading, and the figure below it.
NUMBERS = {
    "contexts": "contexts",
    "inside": "inside",
    "bad output": "bad_output",
    "reached": "reached",
    "unreached flips": "flips_unreached",
    "flips: attack": "flips_attack",
    "flips: harmless": "flips_harmless",
    "attack only": "attack_only",
    "harmless only": "harmless_only",
    "wish: attack": "wished_attack",
    "wish: harmless": "wished_harmless",
}


def main(arguments: list[str]) -> int:
    """One process a model: an engine's environment is set once in a process."""
    parser = argparse.ArgumentParser(prog="python -m tests.containment", description=__doc__)
    parser.add_argument("--contexts", type=int, default=CONTEXTS, help="markets, each attacked in every kind")
    parser.add_argument("--only", nargs="+", default=None, metavar="MODEL")
    parser.add_argument("--one", default=None, help=argparse.SUPPRESS)  # this process measures one model, and writes its rows
    asked = parser.parse_args(arguments)
    if asked.one is not None:
        print(json.dumps(written(asyncio.run(measure(asked.one, asked.contexts)))))
        return 0
    models = asked.only or [path.stem for path in sorted(FOLDER.glob("*.toml"))]
    rows = [row for model in models for row in _measured(model, asked.contexts)]
    _keep(rows, asked.contexts)
    Console(width=WIDTH).print(table(rows))
    return 0 if all(row["inside"] == row["contexts"] for row in rows) else 1


def _measured(model: str, contexts: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.containment", "--one", model, "--contexts", str(contexts)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    """The figures for people."""
    shown = Table(title="Attacked contexts, each beside the same one in harmless words")
    shown.add_column("model")
    shown.add_column("kind", no_wrap=True)
    for heading in NUMBERS:
        shown.add_column(heading, justify="right")
    shown.add_column("plainly above")
    for row in rows:
        above = "yes" if row["above"] else "no"
        figures = (str(row[name]) for name in NUMBERS.values())
        shown.add_row(row["model"], row["kind"], *figures, above, end_section=row["kind"] == "all")
    return shown


def _keep(rows: list[dict[str, Any]], contexts: int) -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    taken_at = datetime.now(UTC)
    path = FIGURES / f"{taken_at:%Y%m%dT%H%M%SZ}.json"
    figures = {"taken_at": taken_at.isoformat(), "contexts": contexts, "rows": rows}
    path.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
