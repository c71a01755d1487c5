"""A lane that hypothesis plays with: its owners on a simulated broker, the steps they may take, and what must hold after each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from backbone.lane_state import Limits
from schemas.record import Record
from schemas.source import Source
from tests.model.broker import Broker, EndRequest, FencedOff, Written
from tests.model.owner import Owner, Step
from tests.model.promises import check_bounded, check_every_step, check_healed, check_nothing_overdue, is_healed
from tests.model.world import Halt, World

T = TypeVar("T")

WINDOW = 8  # offsets of the bitmap, in the model
VALUE = b"ten bytes."
SKEWS_MS = (0, 700, -700)  # of the owners' clocks to the log's
KINDS = "aaab.x"  # records of two keys, a marker, and a record that ends whoever asks about it
RESULTS = ("an action", "an action", "a hold", "an action", "a hop")

# What rules draw: one of whatever there is, how long an answer may act, how far a transaction goes.
WHICH = st.integers(0, 5)
TTL_MS = st.sampled_from([60_000, 3_000, 500])
STEP = st.sampled_from(Step)
LOOKS = st.integers(0, 63).map(lambda bits: [not bits >> n & 1 for n in range(6)])  # whether each finds the halt known


class Machine(RuleBasedStateMachine):
    """A lane and three processes that may have it. What happens to them, its subclasses' rules say."""

    owner_type: ClassVar[type[Owner]] = Owner
    limits: ClassVar[Limits] = Limits(records_max=4, bytes_max=60)
    schedules: ClassVar[int] = 0
    last: ClassVar[list[str]] = []  # the schedule that was tried last: after a failure, the shortest one

    def __init__(self) -> None:
        super().__init__()
        self.broker, self.world = Broker(), World()
        self.owners = [self.owner_type(f"P{n}", self.broker, self.world, self.limits, skew) for n, skew in enumerate(SKEWS_MS)]
        self.seen: list[Written] = []
        self.sound = True
        type(self).schedules += 1
        self.trace: list[str] = []
        type(self).last = self.trace

    def note(self, what: str) -> None:
        """One line of the schedule."""
        self.sound = False  # until the promises are found to hold
        self.trace.append(what)

    # -- what happens -------------------------------------------------------------------------------------------------

    def _append(self, kind: str) -> None:
        offset = len(self.broker.input)
        self.note(f"the input gets {kind} at {offset}" + {".": " (a marker)", "x": " (it ends whoever asks)"}.get(kind, ""))
        if kind == "x":
            self.world.poison.add(offset)
        self.broker.input.append(None if kind == "." else self.record(offset, kind))

    def record(self, offset: int, kind: str) -> Record:
        return Record(Source("topic", 0, offset), b"a" if kind == "x" else kind.encode(), VALUE, (), self.broker.now_ms)

    def _go_on(self, owner: Owner, choice: int, ttl_ms: int = 60_000) -> None:
        """What it does next by itself."""
        if owner.state is None:
            self._claim(owner)
        elif owner.may_write and not (choice % 2 and self._sane(owner)):
            self._write(owner)
        elif self._sane(owner):
            self._finish(owner, choice, ttl_ms)
        elif owner.may_read:
            if not self._is_anything_left(owner):
                self._append(KINDS[choice % len(KINDS)])
            self._read(owner, 3)

    def _is_anything_left(self, owner: Owner) -> bool:
        assert owner.state is not None
        return not owner.state.needs_records or owner.position < len(self.broker.input)

    def _about_to_write(self, which: int) -> Owner:
        """An owner that has results to write, if a few steps of its own bring it there."""
        owner = pick(self.owners, which)
        for _ in range(6):
            if owner.state is not None and (owner.state.ready or owner.transaction):
                break
            self._go_on(owner, 0)
        return owner

    def _claim(self, owner: Owner) -> None:
        self.note(f"{owner.name} claims")
        owner.claim()

    def _read(self, owner: Owner, records_max: int) -> None:
        assert owner.state is not None
        read = owner.read(records_max)
        self.note(f"{owner.name} reads {' '.join(str(record.source.offset) for record in read) or 'nothing'}")
        check_bounded(owner, self.limits, read)

    def _sane(self, owner: Owner) -> list[Record]:
        return [record for offset, record in owner.asked.items() if offset not in self.world.poison]

    def _finish(self, owner: Owner, choice: int, ttl_ms: int) -> None:
        """One of what it was asked is answered; at times by an answer that does not act, or by another hop."""
        record, kind = pick(self._sane(owner), choice), RESULTS[choice % len(RESULTS)]
        self.note(f"{owner.name} finishes {record.source.offset}: {kind} for {ttl_ms} ms")
        if kind == "a hop":
            return owner.finish(self.world.handed_on(record))
        return owner.finish(self.world.answered(record, record.timestamp_ms + ttl_ms, kind == "an action", owner.now_ms))

    def _write(self, owner: Owner, until: Step | None = None) -> None:
        if owner.may_write:
            self.note(f"{owner.name} writes" + (f", as far as {until.name.lower()}" if until is not None else ""))
            owner.write(until)

    def _know(self, halt: Halt, looks: list[bool]) -> None:
        """The halt in force, and whether one look at an answer after the other finds it known."""
        self.note(f"the halt is {halt.value}, {', '.join('known' if known else 'unknown' for known in looks)}")
        self.world.halt, self.world.halt_is_known, self.world.coming_looks = halt, looks[0], looks[1:]

    def _pass(self, milliseconds: int, asleep: Owner | None) -> None:
        """Who is awake looks again at what it holds back: what is over by then goes out, whatever it waited for."""
        self.note(f"{milliseconds} ms pass")
        self.broker.pass_time(milliseconds)
        for owner in self.owners:
            if owner is not asleep and owner.may_tick:
                self.note(f"{owner.name} looks again at what it holds back")
                owner.tick()
                while owner.transaction is not None or (owner.state is not None and owner.state.ready):
                    self._write(owner)
                check_nothing_overdue(owner)

    def _arrive(self, request: EndRequest) -> None:
        """A late request to commit."""
        with suppress(FencedOff):
            self.broker.end(request.transactional_id, request.epoch, commit=True)

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        check_every_step(self.broker, self.world, self.seen)
        self.seen = list(self.broker.visible)
        self.sound = True

    def teardown(self) -> None:
        if self.sound:
            self.heal()

    def heal(self) -> None:
        """Faults end; one owner takes the lane while the others still believe that it is theirs."""
        self.note("all is healed")
        self._know(Halt.NONE, [True])
        self.broker.pass_time(6_000)
        owner = self.owner_type("P9", self.broker, self.world, self.limits)
        self._claim(owner)
        for zombie in self.owners:
            zombie.tick()
            self._write(zombie)
        for request in self.broker.on_the_way:
            self._arrive(request)
        lives_left, steps_left = 6 * len(self.world.poison), 10 + 3 * len(self.broker.input) + 12 * len(self.world.poison)
        while not is_healed(self.broker) and (steps_left := steps_left - 1):
            lives_left -= self._heal_step(owner)
            assert lives_left >= 0, "complete: a record that ends its owners does not end itself"
            self.holds()
        check_healed(self.broker, owner)

    def _heal_step(self, owner: Owner) -> bool:
        """Read, finish, write; whether the owner was killed by what it read."""
        if owner.may_read:
            self._read(owner, 3)
        self._write(owner)
        while self._sane(owner):
            self._finish(owner, 0, 60_000)
        owner.tick()
        self._write(owner)
        if owner.asked.keys() & self.world.poison and not (owner.may_read and self._is_anything_left(owner)):  # it kills slowly
            self.note(f"{owner.name} is killed by {min(owner.asked)}, and more comes")
            owner.crash()
            self._append("b")
            self._claim(owner)
            return True
        return False


def pick(among: Sequence[T], which: int) -> T:
    """One of these."""
    return among[which % len(among)]
