"""Two processes that both want one lane: each goes on where it can, and claims again, when it may, once it was fenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from backbone.lane_state import Limits
from schemas.record import Record
from schemas.source import Source
from tests.model.broker import Broker
from tests.model.owner import Owner
from tests.model.world import World

STEP_MS = 5  # a request and its answer
LIMITS = Limits(records_max=10, bytes_max=1 << 20)


@dataclass(slots=True)
class Party:
    """An owner, and how long it leaves the lane alone after it was fenced."""

    owner: Owner
    pause_ms: int
    claims: int = 0
    may_claim_at_ms: int = 0

    def step(self) -> str:
        """The next thing that it does by itself; what that was."""
        owner, now_ms = self.owner, self.owner.broker.now_ms
        if owner.state is None:
            return self._claim(now_ms)
        did = self._go_on()
        if owner.state is None:
            self.may_claim_at_ms = now_ms + self.pause_ms
            return f"{did} and is fenced"
        return did

    def _claim(self, now_ms: int) -> str:
        if now_ms < self.may_claim_at_ms:
            return "leaves the lane alone"
        self.claims += not self.owner.claiming
        self.owner.claim_step()
        return "claims"

    def _go_on(self) -> str:
        owner = self.owner
        if owner.transaction is not None:
            owner.step()
        elif owner.asked:
            owner.finish(owner.world.handed_on(next(iter(owner.asked.values()))))
            return "finishes"
        elif owner.may_write:
            owner.begin()
        elif owner.may_read:
            owner.read(3)
            return "reads"
        return "writes"


@dataclass(slots=True)
class Contest:
    """Two parties on one lane of so many records; `bursts` says how many steps each does before the other has its turn."""

    pauses_ms: Sequence[int]
    records: int = 6
    schedule: list[str] = field(default_factory=list)
    broker: Broker = field(default_factory=Broker)
    parties: list[Party] = field(default_factory=list)

    def run(self, bursts: Sequence[int]) -> None:
        """Let them go on, in turns."""
        world = World()
        self.broker.input = [Record(Source("topic", 0, n), b"a", b"value", (), 0) for n in range(self.records)]
        for number, pause_ms in enumerate(self.pauses_ms):
            self.parties.append(Party(Owner(f"P{number}", self.broker, world, LIMITS), pause_ms))
        for turn, steps in enumerate(bursts):
            party = self.parties[turn % len(self.parties)]
            for _ in range(steps):
                self.schedule.append(f"{party.owner.name} {party.step()}")
                self.broker.pass_time(STEP_MS)

    @property
    def is_done(self) -> bool:
        """Whether every record has its outcome."""
        return len(self.broker.outcomes) == self.records
