"""What a record came to: the outputs that its transaction writes, and when they may no longer go out as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.decision import Decision
from schemas.record import Output, Record


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one record, or its next hop.

    `ordered`: it waits for the earlier records of its key in this lane. `again(log_ms)`, where there is one, says what may be
    published at this log time: the very same result, another one (expired, halted), or None: not known yet, ask again soon.
    `decision` is the one among the outputs, if any, for counting once it is written.
    """

    record: Record
    outputs: tuple[Output, ...]
    ordered: bool = False
    again: Callable[[int], Result | None] | None = None
    decision: Decision | None = None

    @property
    def size_bytes(self) -> int:
        """The bytes it holds in memory, beside its record's."""
        return sum(len(output.value) for output in self.outputs)
