"""How one model is doing, and why: HEALTHY, DEGRADED, OPEN, PROBING or DOWN. No clock and no client: what happens comes in.

```
            no sign of life                           signs of life
   any ───────────────────────► DOWN ──────────────────────────────────► HEALTHY (PROBING, if it was out before)
            breaks too often          next_probe               3 good
   HEALTHY/DEGRADED ──────────► OPEN ───────────► PROBING ──────────────► HEALTHY
                                  ▲                  │ one breaks: waits twice as long, at most 2 minutes
                                  └──────────────────┘
```
Nothing keeps a model out that is not said here: OPEN always has its `next_probe`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from deciders.endings import Ending
from deciders.fleet import ASKED_FREELY
from deciders.patience import USUAL, Patience
from deciders.probes import Probes
from deciders.tally import Tally, breaks
from schemas.status import HealthState

ATTEMPTS_MIN: Final = 10  # fewer say nothing of a share
OPEN_SHARE: Final = 0.5  # from here on a question is more likely answered, and sooner, by the next model of the chain
IN_A_ROW_MAX: Final = 5  # a model that has just died need not first spoil half of the window
DEGRADED_SHARE: Final = 0.1
RESTORED_SHARE: Final = 0.05  # half of it, so that one more failure is no new state
# A question with less time than this may be over before any language model can have answered it: no deadline to hold one to.
FAIR_MS: Final = 1_000.0
WAIT_MS_FIRST: Final = 5_000
WAIT_MS_MAX: Final = 120_000  # doubled up to here: a person who mended it is not kept waiting longer
SILENT_MS_MAX: Final = 5_000  # five heartbeats, as long as Redis keeps one
FIRST_MS: Final = 10_000  # the processes of a stack start together: whoever was never heard of may still be on its way
LEFT_MS: Final = 2_500  # without a member in its group two missed heartbeats are enough
LOOK_MS_MAX: Final = 15_000  # an older look at Kafka says nothing of now
WAITS_LONG_MS: Final = 10_000  # the oldest unfinished question, of a model that goes on answering


@dataclass(frozen=True, slots=True)
class Look:
    """What Kafka shows of a model: its group's members, how much has no outcome yet, and how long the oldest of it waits.

    `open_offsets` counts offsets, transaction markers among them: so many records at most, and half as many where each was
    committed by itself.
    """

    members: int
    open_offsets: int = 0
    oldest_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A model's new state; times in epoch ms."""

    model: str
    state: HealthState
    reason: str
    since_ms: int
    next_probe_ms: int | None


class Health:
    """One model. Each change of its state is in `changes` until somebody takes it from there."""

    def __init__(self, model: str, now_ms: int, patience: Patience = USUAL) -> None:
        self.model, self._patience = model, patience
        self.changes: list[Change] = []
        self.tally, self.probes = Tally(), Probes(patience.given_up_ms)
        self._heard, self._alive_ms, self._answered_ms = False, now_ms, now_ms
        self._absence = "no worker's heartbeat"
        self._beats_since_ms: int | None = None  # since when heartbeats can be read; None: they cannot
        self._beat_ms = now_ms  # when there last was one
        self._read_ms = now_ms  # when they last were read: a router that slept has not heard whether anybody spoke
        self._look, self._look_ms = Look(members=1), now_ms - LOOK_MS_MAX - 1
        self._service_ms = 0.0
        self._wait_ms, self._closed_ms = 0, now_ms
        self._was_out = False
        self._anew_ms = -math.inf  # what it was asked before says nothing of now
        self._become(HealthState.HEALTHY, "nothing is known against it", now_ms)

    # -- how it stands ------------------------------------------------------------------------------------------------

    @property
    def probes_left(self) -> int:
        """How many questions more may try it out now."""
        return self.probes.left if self.state is HealthState.PROBING else 0

    # -- what comes in ------------------------------------------------------------------------------------------------

    def beats(self, ready: bool, absence: str, service_ms: float | None, now_ms: int) -> None:
        """Heartbeats were read: is there a new one that is ready, and if not, what is there instead; its usual service time."""
        self._beats_since_ms = now_ms if self._beats_since_ms is None else self._beats_since_ms
        self._read_ms = now_ms
        self._absence = absence
        self._service_ms = service_ms or self._service_ms
        if ready:
            self._heard, self._alive_ms, self._beat_ms = True, now_ms, now_ms
        self.tick(now_ms)

    def no_beats(self, now_ms: int) -> None:
        """Heartbeats cannot be read; that says nothing of the model."""
        self._beats_since_ms = None
        self.tick(now_ms)

    def look(self, look: Look, now_ms: int) -> None:
        """Kafka was asked."""
        self._look, self._look_ms = look, now_ms
        self.tick(now_ms)

    def sent(self, src: str, now_ms: int) -> None:
        """A question went to it; while it is PROBING, that is a probe."""
        if self.state is HealthState.PROBING:
            self.probes.sent(src, now_ms)

    def back(self, src: str) -> None:
        """The context of this source has its outcome; its own attempts, if any, come by `ended`."""
        self.probes.back(src)

    def ended(self, ending: Ending, now_ms: int) -> None:
        """An attempt of this model ended so."""
        if not breaks(ending.kind):  # a bad answer is one: whoever gives it is alive
            self._heard, self._alive_ms, self._answered_ms = True, now_ms, now_ms
        if ending.kind == "late" and ending.ms < max(FAIR_MS, self._service_ms):
            return  # it was asked with too little time left: that is not the model's fault
        if self.state is HealthState.PROBING and ending.probe:
            self._tried_out(ending, now_ms)
        elif self.state in ASKED_FREELY and now_ms - ending.ms >= self._anew_ms:
            self.tally.add(ending.kind, now_ms)
        self.tick(now_ms)

    def tick(self, now_ms: int) -> None:
        """Time has passed, or something came in: take the step that follows, if any."""
        self.tally.forget(now_ms)
        overdue = self.probes.overdue(now_ms)
        if (why := self._gone(now_ms)) is not None:
            self._go_down(why, now_ms)
        elif self.state is HealthState.DOWN:
            if self._is_back(now_ms):
                self._come_back(now_ms)
        elif self.state is HealthState.OPEN:
            if self.next_probe_ms is None or now_ms >= self.next_probe_ms:
                self.probes.begin()
                self._become(HealthState.PROBING, "its wait is over: it is tried by two questions at a time", now_ms)
        elif self.state is HealthState.PROBING:
            if overdue:
                self._open(f"{overdue} of its probes had no answer", now_ms)
        else:
            self._weigh(now_ms)

    # -- what follows -------------------------------------------------------------------------------------------------

    def _gone(self, now_ms: int) -> str | None:
        """Why nothing of it can be alive; None where something is, or where nobody can know."""
        silent_ms = now_ms - self._alive_ms
        if not self._heard and silent_ms <= FIRST_MS:
            return None
        looked = now_ms - self._look_ms <= LOOK_MS_MAX
        if looked and not self._look.members and silent_ms > LEFT_MS:
            return f"{self._absence}, and its group has no member"
        if self._beats_since_ms is None or self._member_lives(now_ms):
            return None
        if self._read_ms - max(self._alive_ms, self._beats_since_ms) > SILENT_MS_MAX:
            return f"{self._absence} for {SILENT_MS_MAX // 1000} s"
        return None

    def _go_down(self, why: str, now_ms: int) -> None:
        if self.state is not HealthState.DOWN:
            self._was_out = self.state in (HealthState.OPEN, HealthState.PROBING)
            self._become(HealthState.DOWN, why, now_ms)

    def _is_back(self, now_ms: int) -> bool:
        """Whether it gives a sign of life. Redis going away also hides the sign that it died; that alone proves no life."""
        return now_ms - self._alive_ms <= SILENT_MS_MAX or self._member_lives(now_ms)

    def _member_lives(self, now_ms: int) -> bool:
        """Whether its group has a member that would have been dropped, had it died with its last heartbeat.

        Counted from heartbeats alone: whoever answers, and does not reach Redis, must not be taken for dead after each answer.
        """
        looked = now_ms - self._look_ms <= LOOK_MS_MAX
        return looked and self._look.members > 0 and now_ms - self._beat_ms > self._patience.member_proves_ms

    def _come_back(self, now_ms: int) -> None:
        self._clear(now_ms)
        if self._was_out or now_ms - self._alive_ms > SILENT_MS_MAX:
            self.probes.begin()
            self._become(HealthState.PROBING, "it is back, and is tried by two questions at a time", now_ms)
        else:
            self._become(HealthState.HEALTHY, "it is back", now_ms)

    def _tried_out(self, ending: Ending, now_ms: int) -> None:
        if breaks(ending.kind):
            self._open(f"a probe was not answered: {ending.kind} after {ending.ms:.0f} ms", now_ms)
            return
        self.probes.good += 1
        if self.probes.passed:
            self._clear(now_ms)
            self._closed_ms = now_ms
            self._become(HealthState.HEALTHY, f"{self.probes.good} probes were answered", now_ms)

    def _weigh(self, now_ms: int) -> None:
        tally = self.tally
        share = tally.broken / max(1, tally.attempts)
        if tally.broken_in_a_row >= IN_A_ROW_MAX:
            self._open(f"{tally.broken_in_a_row} in a row were not answered; {tally}", now_ms)
        elif tally.attempts >= ATTEMPTS_MIN and share >= OPEN_SHARE:
            self._open(str(tally), now_ms)
        elif self._stalled(now_ms):
            waits_s = (self._look.oldest_ms or 0) / 1000
            self._open(f"nothing is answered, and of at most {self._look.open_offsets} the oldest waits {waits_s:.0f} s", now_ms)
        elif self.state is HealthState.HEALTHY:
            if (why := self._weakness(share, now_ms)) is not None:
                self._become(HealthState.DEGRADED, why, now_ms)
        elif share < RESTORED_SHARE and not self._waits_long(now_ms) and not self._answers_badly:
            self._become(HealthState.HEALTHY, f"it answers: {tally}", now_ms)

    def _weakness(self, share: float, now_ms: int) -> str | None:
        if (self.tally.attempts >= ATTEMPTS_MIN and share >= DEGRADED_SHARE) or self._answers_badly:
            return str(self.tally)
        if self._waits_long(now_ms):
            waits_s = (self._look.oldest_ms or 0) / 1000
            return f"of at most {self._look.open_offsets} questions the oldest waits {waits_s:.0f} s"
        return None

    @property
    def _answers_badly(self) -> bool:
        """Every other answer breaks a rule: the chain is asked for them, and the model goes on being asked."""
        return self.tally.attempts >= ATTEMPTS_MIN and self.tally.counts["bad"] >= OPEN_SHARE * self.tally.attempts

    def _waits_long(self, now_ms: int) -> bool:
        return now_ms - self._look_ms <= LOOK_MS_MAX and (self._look.oldest_ms or 0) > WAITS_LONG_MS

    def _stalled(self, now_ms: int) -> bool:
        """Work is older than any answer takes, and not one answer since: a worker that has stopped."""
        looked, given_up_ms = now_ms - self._look_ms <= LOOK_MS_MAX, self._patience.given_up_ms
        return looked and (self._look.oldest_ms or 0) > given_up_ms and now_ms - self._answered_ms > given_up_ms

    def _open(self, why: str, now_ms: int) -> None:
        """Out, for twice as long as the last time unless it was well since for as long as the longest wait."""
        relapse = self._wait_ms and (self.state is HealthState.PROBING or now_ms - self._closed_ms < WAIT_MS_MAX)
        self._wait_ms = min(WAIT_MS_MAX, 2 * self._wait_ms) if relapse else WAIT_MS_FIRST
        self._clear(now_ms)
        self._become(HealthState.OPEN, why, now_ms, now_ms + self._wait_ms)

    def _clear(self, now_ms: int) -> None:
        self.tally = Tally()
        self._answered_ms = self._anew_ms = now_ms

    def _become(self, state: HealthState, reason: str, now_ms: int, next_probe_ms: int | None = None) -> None:
        self.state, self.reason, self.since_ms, self.next_probe_ms = state, reason, now_ms, next_probe_ms
        self.changes.append(Change(self.model, state, reason, now_ms, next_probe_ms))
