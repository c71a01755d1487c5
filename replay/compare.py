"""Which decisions of two ledgers differ, and what made them differ: two runs, or a run and what was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from replay import export, index, plan
from replay.answers import PARTS
from replay.index import Index, Outcome

EXAMPLES_MAX: Final = 20
# What makes a decision, in the order in which one follows from the other. The first that differs is the cause.
STEPS: Final = ("policy", "features", "rule", "halt", "models asked", *PARTS, "answer", "threshold", "limits", "time")
SAME: Final = ["status", "action", "size_pct", "stop_loss", "take_profit", "probs"]

Decided = dict[str, Any]


@dataclass(slots=True)
class Comparison:
    """What was found so far. `only_a`, `only_b`: contexts that the other ledger has no decision on."""

    decisions: int = 0
    alike: int = 0
    different: int = 0
    only_a: int = 0
    only_b: int = 0
    by_cause: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def take(self, src: str, a: Decided | None, b: Decided | None) -> None:
        """One context's two decisions."""
        self.decisions += 1
        if a is None or b is None:
            self.only_a, self.only_b = self.only_a + (b is None), self.only_b + (a is None)
            return
        changed = differences(a, b)
        if not changed:
            self.alike += 1
            return
        self.different += 1
        why = causes(a, b)
        self.by_cause[why[0] if why else "unknown"] += 1
        if len(self.examples) < EXAMPLES_MAX:
            named = {name: a[name] for name in ("context_id", "bot_id", "symbol")}
            self.examples.append({"src": src, **named, "why": list(why), "differs": changed})

    def document(self) -> dict[str, Any]:
        """All of it."""
        counts = {name: getattr(self, name) for name in ("decisions", "alike", "different", "only_a", "only_b")}
        return counts | {"by_cause": dict(self.by_cause.most_common()), "examples": self.examples}


def compare(a: Path, b: Path) -> Comparison:
    """Every context on which one of the two ledgers has a decision. Raises PlanError and ExportError."""
    found = Comparison()
    with closing(_index_of(a)) as one, closing(_index_of(b)) as other:
        for src, before, after in _side_by_side(one.all_outcomes(), other.all_outcomes()):
            if before is not None or after is not None:
                found.take(src, before, after)
    return found


def differences(a: Decided, b: Decided) -> dict[str, list[Any]]:
    """What of the two goes into a run's digest and is not alike, each with both values."""
    own, other = _told(a), _told(b)
    return {name: [own[name], other[name]] for name in own if own[name] != other[name]}


def causes(a: Decided, b: Decided) -> tuple[str, ...]:
    """What of their making is not alike, the first cause first."""
    own, other = _made_of(a), _made_of(b)
    return tuple(step for step in STEPS if own[step] != other[step])


def _told(decided: Decided) -> dict[str, Any]:
    model = decided["model"]
    return {name: decided[name] for name in SAME} | {
        "rule": decided["route"]["rule"],
        "model": None if model is None else model["name"],
    }


def _made_of(decided: Decided) -> dict[str, Any]:
    route, generation = decided["route"], decided["generation"] or {}
    parts = generation.get("parts") or {}
    return {name: parts.get(name) for name in PARTS} | {
        "policy": route["policy"],
        "features": route["features"],
        "rule": route["rule"],
        "halt": route["halt"],
        "models asked": [(each["model"], each["outcome"]) for each in route["attempts"]],
        "answer": (generation.get("text"), decided["probs"]),
        "threshold": route["threshold"],
        "limits": (decided["clamps"], decided["reason"]),
        "time": decided["status"] == "EXPIRED",
    }


def _index_of(folder: Path) -> Index:
    """The index of a run, or of an export, made where it is not there."""
    folder = folder.parent if folder.name == plan.FILE else folder
    if not (folder / plan.FILE).exists():
        export.read_export(folder)
    if index.flaw(folder) is not None:
        index.build(folder, lambda done, total: None)
    return Index(folder)


def _side_by_side(a: Iterator[Outcome], b: Iterator[Outcome]) -> Iterator[tuple[str, Decided | None, Decided | None]]:
    """Both in the order of their contexts, those of one context together."""
    one, other = next(a, None), next(b, None)
    while one is not None or other is not None:
        src = min(each.src for each in (one, other) if each is not None)
        mine, theirs = one is not None and one.src == src, other is not None and other.src == src
        yield str(src), _decided(one if mine else None), _decided(other if theirs else None)
        one, other = next(a, None) if mine else one, next(b, None) if theirs else other


def _decided(outcome: Outcome | None) -> Decided | None:
    return None if outcome is None or outcome.reason is not None else from_json(outcome.value)
