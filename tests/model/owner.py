"""A process that may have the lane: the product's `LaneState`, and the steps round it that `backbone/lane.py` takes.

Each step can be the last one before somebody else's. What an owner believes may be long out of date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from math import inf

from backbone.lane_state import MARK_ONLY, LaneState, Limits, Write
from backbone.progress import Mark
from schemas.record import Record
from schemas.result import Result
from tests.model.broker import Broker, EndRequest, FencedOff, Unstable, Written
from tests.model.world import World

LANE = "group.topic.0"


class Step(IntEnum):
    """How far a transaction is."""

    BEGUN = 0
    PRODUCED = 1
    MARKED = 2


@dataclass(slots=True)
class Transaction:
    """One that is under way: what it writes, the mark it will carry, and what its commit means."""

    write: Write
    mark: Callable[[], Mark]
    committed: Callable[[], None]
    step: Step = Step.BEGUN


class Owner:
    """One process. `state` is None while it has no lane."""

    def __init__(self, name: str, broker: Broker, world: World, limits: Limits, skew_ms: int = 0) -> None:
        self.name, self.broker, self.world, self._limits, self._skew_ms = name, broker, world, limits, skew_ms
        self.state: LaneState | None = None
        self._uncounted_records: list[Record] = []  # delivered before the claim is counted
        self.asked: dict[int, Record] = {}  # given to the work, and not finished
        self.unwritten: dict[int, Result] = {}  # finished, and not committed
        self.transaction: Transaction | None = None
        self._start_process()

    def _start_process(self) -> None:
        self.uncounted = True
        self.process = self.world.processes
        self.world.processes += 1
        self.lose()

    @property
    def transactional_id(self) -> str:
        """The id that fences."""
        return LANE

    @property
    def now_ms(self) -> int:
        """What its own clock says."""
        return self.broker.now_ms + self._skew_ms

    # -- claiming -----------------------------------------------------------------------------------------------------

    @property
    def claiming(self) -> bool:
        """Whether a claim is half done."""
        return self.state is None and self._claimed > 0

    @property
    def has_anything(self) -> bool:
        """Whether it has the lane, or is about to."""
        return self.state is not None or self.claiming

    def claim(self) -> None:
        """All steps of a claim that are still to be done; from the first one on where the lane is open."""
        for _ in self.CLAIM[self._claimed if self.claiming else 0 :]:
            self.claim_step()

    def claim_step(self) -> None:
        """The next step of a claim, the first of a new one where the lane is open: fence, then look, then start."""
        if self.state is not None:
            self.lose()
        if self.CLAIM[self._claimed](self):
            self._claimed += 1
        if self._claimed == len(self.CLAIM):
            self._start()

    def fence(self) -> bool:
        """Start the producer."""
        self.epoch = self.broker.init(self.transactional_id)
        return True

    def look(self) -> bool:
        """Learn what is committed; False where it must be asked again."""
        try:
            found = self.broker.stable()
        except Unstable:
            return False
        if found is None:
            return self.nothing_committed()
        self.mark = Mark.parse(*found)
        return True

    def nothing_committed(self) -> bool:
        """Nobody knows where to begin."""
        self.crash()
        return False

    CLAIM: tuple[Callable[[Owner], bool], ...] = (fence, look)

    def _start(self) -> None:
        self.state = LaneState(self._limits, count_claim=self.uncounted)
        self.state.start(self.mark, len(self.broker.input), self.now_ms / 1000)
        self.position = self.mark.offset

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def may_read(self) -> bool:
        """Whether it would read now."""
        return self.state is not None and self.state.room and not self._uncounted_records

    def read(self, records_max: int) -> list[Record]:
        """Poll if nothing is left, deliver, and give to the work what is delivered, once the claim is counted."""
        assert self.state is not None and self.may_read
        if self.state.needs_records:
            read, self.position = self.broker.fetch(self.position, records_max)
            if read:
                self.state.read(read, self.now_ms / 1000)
            else:
                self.state.read_nothing(self.position)
        records = self.state.deliver(records_max)
        for record in records:
            self.world.given[record.source.offset].add(self.process)
        self._uncounted_records = records
        if records and not self.state.uncounted:
            self._give()
        return records

    def _give(self) -> None:
        records, self._uncounted_records = self._uncounted_records, []
        assert self.state is not None
        if records and self.state.suspected:
            self.state.finish(self.world.given_up(records.pop(0)))
        self.work_on(records)

    def work_on(self, records: list[Record]) -> None:
        """These are to be decided, now or later."""
        self.asked.update({record.source.offset: record for record in records})

    def finish(self, result: Result) -> None:
        """A record has its result."""
        assert self.state is not None
        del self.asked[result.record.source.offset]
        self.unwritten[result.record.source.offset] = result
        self.state.finish(result)

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def may_write(self) -> bool:
        """Whether a transaction is under way, or one is likely to begin."""
        if self.state is None:
            return False
        return bool(self.transaction or self._uncounted_records or self.state.ready or self.state.is_idle(inf))

    @property
    def may_tick(self) -> bool:
        """Whether time may turn something that it holds back."""
        return self.state is not None and self.state.holds_back

    def tick(self) -> None:
        """Look again at what is held back."""
        if self.state is not None:
            self.state.look_again(self.now_ms)

    def begin(self) -> None:
        """Begin a transaction, if there is none and something is to be written."""
        if self.state is None or self.transaction is not None:
            return
        if self._uncounted_records and self.state.count():
            self.transaction = Transaction(MARK_ONLY, self.state.mark, self._give)
        elif (write := self.state.next_write(self.now_ms)) is not None:
            state = self.state
            self.transaction = Transaction(write, lambda: state.mark(write), lambda: state.written(write))

    def write(self, until: Step | None = None) -> None:
        """Begin where there is something to write, and go on to this step, or to the end."""
        self.begin()
        while self.transaction is not None and (until is None or self.transaction.step < until):
            self.step()

    def step(self, *, send_fails: bool = False) -> None:
        """The next step of the transaction under way, answered promptly; the lane is lost where it is fenced."""
        assert self.transaction is not None
        try:
            if self.transaction.step is Step.BEGUN:
                self._produce(self.transaction, send_fails)
            elif self.transaction.step is Step.PRODUCED:
                self.broker.move(self.transactional_id, self.epoch, self.transaction.mark())
                self.transaction.step = Step.MARKED
            else:
                self.epoch = self.broker.end(self.transactional_id, self.epoch, commit=True)
                self._commit(self.transaction)
        except FencedOff:
            self.lose()

    def _produce(self, transaction: Transaction, send_fails: bool) -> None:
        results, log_ms = transaction.write.results, self.broker.now_ms
        outputs = [Written(r.record, output, r.ordered, log_ms) for r in results for output in r.outputs]
        self.broker.produce(self.transactional_id, self.epoch, outputs[1:] if send_fails else outputs)
        transaction.step = Step.PRODUCED
        if send_fails and outputs:
            self.send_failed()
        elif any(r.again is not None and r.again(log_ms) is not r for r in results):
            self.epoch = self.broker.end(self.transactional_id, self.epoch, commit=False)
            assert self.state is not None
            self.transaction = None
            self.state.refused(transaction.write, log_ms)

    def _commit(self, transaction: Transaction) -> None:
        self.transaction = None
        for offset in transaction.write.offsets:
            self.unwritten.pop(offset, None)
        transaction.committed()

    def send_failed(self) -> None:
        """One of the sends came back as failed: the transaction is in doubt, and so is the producer."""
        self.lose()

    def end_in_doubt(self, *, applied: bool, late: bool) -> None:
        """The request to commit gets no answer in time: it was applied, or not, and a copy may still be on its way."""
        assert self.transaction is not None and self.transaction.step is Step.MARKED
        if late:
            self.broker.on_the_way.append(EndRequest(self.transactional_id, self.epoch))
        try:
            if applied:
                self.broker.end(self.transactional_id, self.epoch, commit=True)
        except FencedOff:
            return self.lose()
        return self.doubt()

    def doubt(self) -> None:
        """Only the broker knows: the producer and the state are thrown away."""
        self.lose()

    # -- ending -------------------------------------------------------------------------------------------------------

    def lose(self) -> None:
        """Throw away what it has of the lane; the process lives on."""
        if self.state is not None:
            self.uncounted = self.state.uncounted
        self.state, self.transaction, self._claimed = None, None, 0
        self._uncounted_records, self.asked, self.unwritten = [], {}, {}

    def leave(self) -> None:
        """Give the lane back in peace: what is under way is cut off, the claim comes off the count."""
        if self.state is not None and self.transaction is None and self.state.stays_counted:
            self.transaction = Transaction(MARK_ONLY, self.state.mark_handed_back, lambda: None)
            while self.transaction is not None:
                self.step()
        self.lose()

    def crash(self) -> None:
        """The process dies; another one starts in its place and knows nothing."""
        self.lose()
        self._start_process()
