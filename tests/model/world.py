"""What an answer depends on beside its question: the log's clock, the halt in force, and whether it is known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum

from schemas.record import Output, Record
from schemas.result import Result

UNDECIDABLE = "UNDECIDABLE"
UNTIL_MS = "until_ms"  # the header that says until when an answer may act


class Halt(Enum):
    """What trading may do."""

    NONE = "none"
    REDUCE_ONLY = "reduce_only"
    FULL = "full"


@dataclass(slots=True)
class World:
    """Whatever is the same for every process, and the judge's notes on who was given what."""

    halt: Halt = Halt.NONE
    halt_is_known: bool = True
    coming_looks: list[bool] = field(default_factory=list)  # whether the next looks at answers find it known
    processes: int = 0  # how many were ever started
    given: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))  # offset → the processes it was given to
    poison: set[int] = field(default_factory=set)  # offsets whose records end whoever asks about them

    def look(self) -> bool:
        """Whether the halt is known, asked for one answer."""
        if self.coming_looks:
            self.halt_is_known = self.coming_looks.pop(0)
        return self.halt_is_known

    def handed_on(self, record: Record) -> Result:
        """What needs no order: a hop, or an outcome that no model gave."""
        return Result(record, (_output(record, "HOP"),))

    def given_up(self, record: Record) -> Result:
        """The dead letter of a record that ended its owners again and again."""
        return Result(record, (_output(record, UNDECIDABLE),))

    def answered(self, record: Record, until_ms: int, acts: bool, log_ms: int) -> Result:
        """A model's answer, as it may go out at this log time; at every later one it is looked at again."""
        return self._at(record, until_ms, acts, log_ms)

    def _at(self, record: Record, until_ms: int, acts: bool, log_ms: int, unknown: bool = False) -> Result:
        made_under = self.halt
        status = "DECIDED" if acts else "HELD"
        if log_ms >= until_ms:
            status = "EXPIRED"
        elif unknown or made_under is Halt.FULL:
            status = "HALTED"
        elif acts and made_under is Halt.REDUCE_ONLY:
            status = "BLOCKED"

        def again(later_ms: int) -> Result | None:
            over = later_ms >= until_ms
            if status == "DECIDED" and not self.look():
                return self._at(record, until_ms, acts, min(later_ms, until_ms - 1), unknown=True) if over else None
            if status in ("EXPIRED", "HALTED") or (self.halt is made_under and not over):
                return made
            return self._at(record, until_ms, acts, later_ms)

        ordered = status not in ("EXPIRED", "HALTED")
        made = Result(record, (_output(record, status, until_ms),), ordered, again)
        return made


def _output(record: Record, status: str, until_ms: int | None = None) -> Output:
    headers = () if until_ms is None else ((UNTIL_MS, str(until_ms).encode()),)
    return Output("decisions", record.key, status.encode(), headers)
