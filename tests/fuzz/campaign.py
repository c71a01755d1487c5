"""A campaign against one parser: inputs that are made from known ones, an oracle for each, and what it says at its end."""

from __future__ import annotations

import argparse
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.fuzz.mutation import mutated
from tests.fuzz.reach import Reached

KEPT_MAX = 4_000
TRACED_EVERY = 4  # a traced run takes several times as long as a bare one, so that most are bare
FINDINGS_SHOWN_MAX = 10
SHOWN_BYTES = 600


@dataclass(frozen=True, slots=True)
class Target:
    """What is tried: valid samples, and an oracle that names an input's outcome. Whatever it raises is a finding."""

    noun: str
    samples: Sequence[bytes]
    outcome: Callable[[bytes], str]


@dataclass(slots=True)
class Found:
    """What a campaign came to. `findings` holds the first input of each kind of error, by where it was raised."""

    executions: int = 0
    kept: int = 0
    steps: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[bytes, str]] = field(default_factory=dict)


def campaign(target: Target, chance: random.Random, turns: Iterator[int]) -> Found:
    """One input a turn; every sample first, as it is. What reaches a new step from line to line is changed further."""
    found, reached, known = Found(), Reached(), list(target.samples)
    for turn in turns:
        first = turn < len(target.samples)
        raw = known[turn] if first else mutated(chance.choice(chance.choice((target.samples, known))), chance)
        run = partial(_count, found, target, raw)
        try:
            if not (first or turn % TRACED_EVERY == 0):
                run()
            elif reached.adds(run) and not first and len(known) < KEPT_MAX:
                known.append(raw)
        except Exception as error:
            found.findings.setdefault(_where(error), (raw, "".join(traceback.format_exception(error))))
    found.kept, found.steps = len(known) - len(target.samples), len(reached.steps)
    return found


def _count(found: Found, target: Target, raw: bytes) -> None:
    found.executions += 1
    found.outcomes[target.outcome(raw)] += 1


def main(target: Target, arguments: list[str]) -> int:
    """Exit 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=f"Fuzzes the {target.noun} parser and what follows it.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="drawn, and printed, where none is given")
    asked = parser.parse_args(arguments)
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    began_s = time.monotonic()
    found = campaign(target, random.Random(seed), _until(began_s + asked.seconds))
    _show(target, found, seed, time.monotonic() - began_s)
    return 1 if found.findings else 0


def _until(end_s: float) -> Iterator[int]:
    turn = 0
    while time.monotonic() < end_s:
        yield turn
        turn += 1


def _where(error: BaseException) -> str:
    """The kind of an error: its class, and the last place in it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}"


def _show(target: Target, found: Found, seed: int, took_s: float) -> None:
    print(f"{target.noun}: {found.executions} executions in {took_s:.0f} s, seed {seed}, {len(found.findings)} findings")
    print(f"  {found.steps} steps from line to line reached, {found.kept} inputs kept for a new one")
    for outcome, count in found.outcomes.most_common():
        print(f"  {count:>8}  {outcome}")
    for where, (raw, told) in list(found.findings.items())[:FINDINGS_SHOWN_MAX]:
        print(f"FINDING {where}\n{raw[:SHOWN_BYTES]!r} ({len(raw)} bytes)\n{told}")
