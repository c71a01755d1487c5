"""Owners take a lane from each other, at any step of any of them, through any fault."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.machine import KINDS, LOOKS, STEP, TTL_MS, WHICH, Machine, pick
from tests.model.owner import Step
from tests.model.world import Halt

INPUT_MAX = 30  # offsets, so that a schedule is about what happens to them


class TakeoverMachine(Machine):
    """Whose owners are workers: answers come in any order, those of a key go out in theirs."""

    @precondition(lambda self: len(self.broker.input) < INPUT_MAX)
    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    def appends(self, kinds: list[str]) -> None:
        for kind in kinds:
            self._append(kind)

    @rule(which=WHICH, steps=st.integers(1, 8), choice=WHICH, ttl_ms=TTL_MS)
    def works(self, which: int, steps: int, choice: int, ttl_ms: int) -> None:
        """So many steps of what an owner does by itself; where it has nothing to do, something comes."""
        for step in range(steps):
            self._go_on(pick(self.owners, which), choice + step, ttl_ms)

    @rule(which=WHICH, how=st.sampled_from(["wholly", "by a step", "while the group's offset is gone"]))
    def claims(self, which: int, how: str) -> None:
        owner = pick(self.owners, which)
        if how == "wholly":
            return self._claim(owner)
        self.note(f"{owner.name} claims {how}")
        if how == "by a step":
            return owner.claim_step()
        before, self.broker.committed = self.broker.committed, None
        owner.claim()
        self.broker.committed = before  # an operator puts it back
        return None

    @precondition(lambda self: any(each.may_read for each in self.owners))
    @rule(which=WHICH, records_max=st.integers(1, 4))
    def reads(self, which: int, records_max: int) -> None:
        self._read(pick([each for each in self.owners if each.may_read], which), records_max)

    @precondition(lambda self: any(map(self._sane, self.owners)))
    @rule(which=WHICH, choice=WHICH, ttl_ms=TTL_MS)
    def finishes(self, which: int, choice: int, ttl_ms: int) -> None:
        self._finish(pick([each for each in self.owners if self._sane(each)], which), choice, ttl_ms)

    @rule(which=WHICH, step=STEP)
    def writes_in_part(self, which: int, step: Step) -> None:
        self._write(self._about_to_write(which), until=step)

    # -- faults -------------------------------------------------------------------------------------------------------

    @rule(which=WHICH, fate=st.sampled_from(["a send fails", "applied", "not applied"]), late=st.booleans())
    def writes_in_doubt(self, which: int, fate: str, late: bool) -> None:
        """A send fails; or the commit gets no answer, and a copy of the request may still be on its way."""
        owner, fails = self._about_to_write(which), fate == "a send fails"
        owner.write(until=Step.BEGUN if fails else Step.MARKED)
        self.note(f"{owner.name} writes, and {fate if fails else f'gets no answer: {fate}' + ', a copy is on its way' * late}")
        if owner.transaction is not None:
            owner.step(send_fails=True) if fails else owner.end_in_doubt(applied=fate == "applied", late=late)

    @precondition(lambda self: self.broker.on_the_way)
    @rule(which=WHICH, step=STEP)
    def comes_late(self, which: int, step: Step) -> None:
        """A request that nobody waits for any more, into the middle of a transaction of the same producer if it can."""
        request = self.broker.on_the_way.pop(which % len(self.broker.on_the_way))
        for number, owner in enumerate(self.owners):
            if owner.state is not None and owner.epoch == request.epoch:
                self._write(self._about_to_write(number), until=step)
        self.note("a late request to commit arrives")
        self._arrive(request)

    @precondition(lambda self: any(each.has_anything for each in self.owners))
    @rule(which=WHICH, in_peace=st.booleans())
    def ends(self, which: int, in_peace: bool) -> None:
        owner = pick([each for each in self.owners if each.has_anything], which)
        self.note(f"{owner.name} {'gives the lane back' if in_peace else 'is killed'}")
        owner.leave() if in_peace else owner.crash()

    @rule(halt=st.sampled_from(Halt), looks=LOOKS)
    def is_halted(self, halt: Halt, looks: list[bool]) -> None:
        self._know(halt, looks)

    @rule(milliseconds=st.sampled_from([200, 1_000, 6_000]), asleep=WHICH)
    def time_passes(self, milliseconds: int, asleep: int) -> None:
        self._pass(milliseconds, pick([*self.owners, None], asleep))
