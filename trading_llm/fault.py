"""What can be wrong with a run: every kind of fault, under the invariant that it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LOST: Final = "lost: no outcome, and no lane has it any more"
WAITING: Final = "waiting: no outcome yet"
TWICE: Final = "twice: more than one outcome, or sent on twice"
ID_TWICE: Final = "twice: a context_id with two decisions"
OVERTAKEN: Final = "overtaken: an output of a record that another owner had taken over and finished"
SCATTERED: Final = "scattered: one key in two partitions of a topic"
EARLY: Final = "early: expired before its time was over"
MISORDERED: Final = "misordered: for its key and model, at the first attempt"
MARK_AHEAD: Final = "mark ahead: committed as finished, without an output"
MARK_BEHIND: Final = "mark behind: an output is there, committed as unfinished"
PHANTOM: Final = "phantom: visible without its cause"
SWAPPED: Final = "swapped: an output that is about another context"
REWRITTEN: Final = "rewritten: what a reader saw is not the beginning of the log"
OPEN: Final = "open: a transaction has not ended"
UNFINISHED: Final = "unfinished: a record that its lane has not brought to an end"
STUCK: Final = "stuck: a lane that nobody can claim"
MALFORMED: Final = "malformed: it does not parse under the contract"
WRONG_REASON: Final = "wrong reason: a dead letter that its context does not bear out"
LATE: Final = "late: it acts after its valid_until"

EXAMPLES_MAX: Final = 20  # of each kind; the rest is only counted
Blame = tuple[str, str]  # a kind, and an example of it


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that always holds, and the kinds of fault that say it does not."""

    id: str
    name: str
    kinds: tuple[str, ...]


INVARIANTS: Final = (
    Invariant("V1", "complete", (LOST, WAITING)),
    Invariant("V2", "once", (TWICE, ID_TWICE, OVERTAKEN)),
    Invariant("V3", "order", (MISORDERED, SCATTERED)),
    Invariant("V4", "atomic", (MARK_AHEAD, MARK_BEHIND)),
    Invariant("V5", "no phantom", (PHANTOM, SWAPPED, REWRITTEN)),
    Invariant("V6", "alive", (OPEN, UNFINISHED, STUCK)),
    Invariant("V7", "strict", (MALFORMED, WRONG_REASON)),
    Invariant("P5", "in time", (LATE, EARLY)),
)


@dataclass(slots=True)
class Found:
    """How often a kind of fault was found, with the first examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """One more."""
        self.count += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(example)


class Faults(dict[str, Found]):
    """Every kind that was found. However much is wrong, it stays small."""

    def blame(self, kind: str, example: str) -> None:
        """Note one fault."""
        self.setdefault(kind, Found()).add(example)

    def take(self, found: Iterator[Blame]) -> None:
        """Note these."""
        for kind, example in found:
            self.blame(kind, example)
