"""One digest over all decisions of a run, whatever the order in which they were made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from pathlib import Path
from typing import Final

import orjson

from schemas.canonical import canonical_json
from schemas.decision import Decision

# Open at once, and each read in its order: a million decisions lie in 200 files, and most systems let a process open 1,024.
OPEN_MAX: Final = 256


def line(decision: Decision) -> bytes:
    """What of a decision is in the digest: who asked what, and what it came to. No times."""
    model = decision.model
    probs = None if decision.probs is None else decision.probs.model_dump()
    what = [decision.status, decision.action, decision.size_pct, decision.stop_loss, decision.take_profit, probs]
    why = [decision.route.rule, None if model is None else model.name]
    return canonical_json([decision.bot_id, decision.symbol, decision.context_id, *what, *why]) + b"\n"


def rank(one: bytes) -> tuple[str, str, str, bytes]:
    """What lines are sorted by: bot, symbol and context, and what is alike in all three by the rest of it."""
    bot_id, symbol, context_id, *_ = orjson.loads(one)
    return bot_id, symbol, context_id, one


def in_order(lines: Iterable[bytes]) -> list[bytes]:
    """These lines as they go into the digest."""
    return sorted(lines, key=rank)


def root_digest(files: list[Path], scratch: Path) -> str:
    """The sha256 over the lines of these files, each of which is in order; `scratch` is a folder for what lies between."""
    scratch.mkdir(parents=True, exist_ok=True)
    taken, number = hashlib.sha256(), 0
    while len(files) > OPEN_MAX:
        files, group, number = files[OPEN_MAX:], files[:OPEN_MAX], number + 1
        between = scratch / f"merged-{number}"
        with between.open("wb") as opened:
            opened.writelines(_merged(group))
        files.append(between)
    for each in _merged(files):
        taken.update(each)
    return taken.hexdigest()


def _merged(files: list[Path]) -> Iterator[bytes]:
    with ExitStack() as opened:
        yield from merge(*(opened.enter_context(file.open("rb")) for file in files), key=rank)
