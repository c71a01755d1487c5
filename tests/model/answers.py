"""One owner, one key: answers that are over, halted, or not known to be allowed, before and after the log took them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.machine import LOOKS, STEP, TTL_MS, Machine
from tests.model.owner import Owner, Step
from tests.model.world import Halt

INPUT_MAX = 20


class AnswersMachine(Machine):
    """Whose first owner has the lane, and keeps it."""

    @property
    def one(self) -> Owner:
        """That owner, with the lane."""
        if self.owners[0].state is None:
            self._claim(self.owners[0])
        return self.owners[0]

    @precondition(lambda self: len(self.broker.input) < INPUT_MAX and self.one.may_read)
    @rule(records=st.integers(1, 4))
    def asks(self, records: int) -> None:
        for _ in range(records):
            self._append("a")
        self._read(self.one, records)
        if not self.one.asked:
            self._write(self.one)  # the claim is counted first

    @precondition(lambda self: self.one.asked)
    @rule(count=st.integers(1, 3), choice=st.integers(0, 2), ttl_ms=TTL_MS)
    def finishes(self, count: int, choice: int, ttl_ms: int) -> None:
        for _ in range(min(count, len(self.one.asked))):
            self._finish(self.one, choice, ttl_ms)

    @precondition(lambda self: self.one.may_write)
    @rule(step=st.none() | STEP, looks=LOOKS, then_known=st.booleans())
    def writes(self, step: Step | None, looks: list[bool], then_known: bool) -> None:
        """And perhaps, a tick later, the halt is known, and whatever may go out does."""
        self._know(self.world.halt, looks)
        self._write(self.one, until=step)
        if then_known:
            self._know(self.world.halt, [True])
            self.one.tick()
            self._write(self.one)

    @precondition(lambda self: self.one.may_tick)
    @rule(looks=LOOKS)
    def looks_again(self, looks: list[bool]) -> None:
        self._know(self.world.halt, looks)
        self.note("P0 looks again at what it holds back")
        self.one.tick()

    @rule(halt=st.sampled_from(Halt), milliseconds=st.sampled_from([200, 1_000]))
    def time_passes(self, halt: Halt, milliseconds: int) -> None:
        self._know(halt, [self.world.halt_is_known])
        self._pass(milliseconds, asleep=None)
