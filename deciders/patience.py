"""How long silence means nothing yet: from the times that the processes are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

LATE_MS: Final = 10_000  # Kafka drops a member after its session's end, and a look at that is 3 s old, or more on a busy broker
WAY_MS: Final = 5_000  # there and back, beside what an engine is given


@dataclass(frozen=True, slots=True)
class Patience:
    """In ms; by default for a session time-out and an engine's time of 30 s each.

    `member_proves_ms`: so long after its last sign a member has died and been dropped, so one that is there is alive.
    `given_up_ms`: so long after a question was sent no answer comes any more: its engine has hung, or its worker has stopped.
    """

    member_proves_ms: int = 30_000 + LATE_MS
    given_up_ms: int = 30_000 + WAY_MS

    @classmethod
    def of(cls, session_s: float, hung_s: float) -> Self:
        """For members that are dropped after `session_s`, and engines that are given `hung_s` for a question."""
        return cls(round(session_s * 1000) + LATE_MS, round(hung_s * 1000) + WAY_MS)


USUAL: Final = Patience()
