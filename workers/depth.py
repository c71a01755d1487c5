"""How many questions the engine is given at once, found by what keeps its steps full. Pure."""

from __future__ import annotations

from workers.vitals import Vitals

# In multiples of what the engine computes at once. Measured: with 1.5 to 2 times that it reaches its full throughput, with 1 time
# it starves; more than it needs only queues where no priority and no deadline of ours reaches.
LEAST, FIRST, MOST = 1.0, 2.0, 2.5
STEPS_MIN = 50  # fewer tell nothing: with 50 a single hungry step is within what is allowed
HUNGRY_SHARE_MAX = 0.02  # of steps that could not be followed by a full one: so much throughput may be lost at most
SPARE_SHARE_MAX = 0.5  # beyond a full step; where more waits, 1.5 times is enough
DEEPER_SHARE = 0.25  # of the concurrency, at once: a starving engine costs throughput, a queue of a few only patience


class Depth:
    """The depth of one engine. It goes up in strides and down one by one, and only while questions wait to be asked."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._least, self._most = max(1, int(LEAST * concurrency)), max(1, int(MOST * concurrency))
        self.questions = max(1, int(FIRST * concurrency))
        self._since: Vitals | None = None

    def adapt(self, vitals: Vitals, *, wanted: bool) -> None:
        """Look at the steps since the last time; `wanted`: more questions were there than the depth let in."""
        if not wanted or self._since is None:  # with too few questions an engine is hungry at any depth
            self._since = vitals if wanted else None
            return
        steps = vitals.steps - self._since.steps
        if steps < STEPS_MIN:
            return
        hungry = vitals.hungry_steps - self._since.hungry_steps
        self._since = vitals
        if hungry > HUNGRY_SHARE_MAX * steps:
            self.questions = min(self._most, self.questions + max(1, int(DEEPER_SHARE * self._concurrency)))
        elif not hungry and self._spare(vitals) > SPARE_SHARE_MAX * self._concurrency:
            self.questions = max(self._least, self.questions - 1)

    def _spare(self, vitals: Vitals) -> int:
        # Both: after a step of one-token answers nothing runs, and what waits is the next step.
        return vitals.running + vitals.waiting - self._concurrency
