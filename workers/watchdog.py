"""Whether an engine is hung: it has questions, and nothing moves. Pure: the clock comes in."""

from __future__ import annotations

# A question without an answer for `hung_s` has hung, and is handed on; that may be its own fault. The engine is hung where
# nobody's question moved for twice as long: then one that was asked after the first had its whole time too.
HUNG_TIMES = 2.0
LOOK_S_MAX = 1.0  # a look that comes later counts as one: then this process slept, and what its engine did is not known yet


class Watchdog:
    """Watches progress, not silence: a slow engine makes steps, and an idle one owes none.

    The time adds up in which it had questions and made no step. Idleness adds nothing, and forgives nothing: the questions of
    a hung engine end by themselves, and the few that try it again each time would never be silence enough.
    """

    def __init__(self, hung_s: float) -> None:
        self._silent_s_max = HUNG_TIMES * hung_s
        self._steps = 0
        self._looked_s: float | None = None
        self.silent_s = 0.0  # for how long it owed a step and made none

    def look(self, steps: int, questions: int, now_s: float) -> bool:
        """Whether an engine is hung that has made so many steps in all, and has so many questions now."""
        if steps != self._steps:
            self.silent_s = 0.0
        elif questions and self._looked_s is not None:
            self.silent_s += min(now_s - self._looked_s, LOOK_S_MAX)
        self._steps, self._looked_s = steps, now_s
        return self.silent_s > self._silent_s_max
