"""A broker with one input partition, simulated: what a lane sees of Kafka, and what it can suffer from it.

Offsets without a record (a transaction's marker, an aborted record) are never delivered. A producer's start fences whoever had
its transactional id, and each end of a transaction gives a new epoch (Kafka 4, KIP-890). A request to commit may come late: it
then ends whatever is open under the epoch that it was sent with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile

from backbone.progress import Mark
from schemas.record import Output, Record

TRANSACTION_TIMEOUT_MS = 5_000


class FencedOff(Exception):
    """This producer's epoch is not the newest of its transactional id."""


class Unstable(Exception):
    """A transaction that would move the offset is open."""


class Fate(Enum):
    """What became of something that was written in a transaction."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(slots=True)
class Written:
    """One output as it lies in the output log: what caused it, and at what log time it was appended."""

    record: Record
    output: Output
    ordered: bool
    log_ms: int
    fate: Fate = Fate.OPEN

    @property
    def src(self) -> int:
        """The offset of the input record that it is the outcome of."""
        return self.record.source.offset


@dataclass(frozen=True, slots=True)
class EndRequest:
    """A request to commit that is still on its way."""

    transactional_id: str
    epoch: int


@dataclass(slots=True)
class _Producer:
    epoch: int = 0
    outputs: list[Written] = field(default_factory=list)
    mark: tuple[int, str] | None = None
    since_ms: int | None = None  # since when its transaction is open


class Broker:
    """The input log, the output log, one group's offset, and the producers that may write both together."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.input: list[Record | None] = []
        self.outputs: list[Written] = []
        self.committed: tuple[int, str] | None = (0, "")
        self.on_the_way: list[EndRequest] = []
        self._producers: dict[str, _Producer] = {}

    # -- the input ----------------------------------------------------------------------------------------------------

    def fetch(self, position: int, records_max: int) -> tuple[list[Record], int]:
        """The next records from here on, and the position after them; a gap is passed by a poll that finds nothing else."""
        first = position
        while position < len(self.input) and self.input[position] is None:
            position += 1
        if position > first:
            return [], position
        run = takewhile(lambda record: record is not None, self.input[position : position + records_max])
        found = [record for record in run if record is not None]
        return found, position + len(found)

    # -- transactions -------------------------------------------------------------------------------------------------

    def init(self, transactional_id: str) -> int:
        """Start a producer: what its predecessor left open is aborted, and it can write no more. Answers the epoch."""
        producer = self._producers.setdefault(transactional_id, _Producer())
        self._close(producer, Fate.ABORTED)
        return producer.epoch

    def produce(self, transactional_id: str, epoch: int, outputs: Iterable[Written]) -> None:
        """Append these; nobody sees them before the transaction's end."""
        producer = self._opened(transactional_id, epoch)
        for each in outputs:
            producer.outputs.append(each)
            self.outputs.append(each)

    def move(self, transactional_id: str, epoch: int, mark: Mark) -> None:
        """The transaction will commit this mark."""
        self._opened(transactional_id, epoch).mark = (mark.offset, mark.metadata())

    def end(self, transactional_id: str, epoch: int, *, commit: bool) -> int:
        """End what is open under this epoch, if anything; answers the producer's next epoch."""
        producer = self._owned(transactional_id, epoch)
        self._close(producer, Fate.COMMITTED if commit else Fate.ABORTED)
        return producer.epoch

    def stable(self) -> tuple[int, str] | None:
        """The group's offset and metadata with nothing pending on them; None where none was ever committed."""
        if any(producer.mark is not None for producer in self._producers.values()):
            raise Unstable
        return self.committed

    def pass_time(self, milliseconds: int) -> None:
        """The clock goes on; a transaction that was open for too long is aborted, and its producer fenced."""
        self.now_ms += milliseconds
        for producer in self._producers.values():
            if producer.since_ms is not None and self.now_ms - producer.since_ms > TRANSACTION_TIMEOUT_MS:
                self._close(producer, Fate.ABORTED)

    def _opened(self, transactional_id: str, epoch: int) -> _Producer:
        producer = self._owned(transactional_id, epoch)
        producer.since_ms = self.now_ms if producer.since_ms is None else producer.since_ms
        return producer

    def _owned(self, transactional_id: str, epoch: int) -> _Producer:
        producer = self._producers[transactional_id]
        if producer.epoch != epoch:
            raise FencedOff
        return producer

    def _close(self, producer: _Producer, fate: Fate) -> None:
        for each in producer.outputs:
            each.fate = fate
        if fate is Fate.COMMITTED and producer.mark is not None:
            self.committed = producer.mark
        producer.epoch += 1
        producer.outputs, producer.mark, producer.since_ms = [], None, None

    # -- what a reader sees -------------------------------------------------------------------------------------------

    @property
    def outcomes(self) -> Sequence[Written]:
        """What is committed, in the log's order."""
        return [each for each in self.outputs if each.fate is Fate.COMMITTED]

    @property
    def visible(self) -> Sequence[Written]:
        """What a committed reader has come to: nothing behind the first open transaction."""
        out: list[Written] = []
        for each in self.outputs:
            if each.fate is Fate.OPEN:
                break
            if each.fate is Fate.COMMITTED:
                out.append(each)
        return out
