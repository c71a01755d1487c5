"""A bot's line to Kafka: questions out, every outcome in."""

from __future__ import annotations

from collections.abc import Callable

from backbone.settings import Settings
from backbone.tail import Tail
from gateway.asking import Asking, NotYet
from gateway.intake import Asked
from gateway.outcome import Answered, Outcome, outcome_of
from gateway.pending import Pending
from gateway.publisher import Publisher
from gateway.seen import Seen
from schemas.record import Record
from schemas.source import Source
from schemas.topic import DEAD_LETTERS, DECISIONS

Heard = Callable[[Outcome], None]


class Link:
    """Starts reading outcomes before anything is sent, so that none is missed; `heard` is told of each, also of others'."""

    def __init__(self, settings: Settings, heard: Heard | None = None) -> None:
        self._heard = heard
        self._pending = Pending(Seen())
        self._publisher = Publisher(settings)
        self._asking = Asking(self._publisher, self._pending)
        self._tail = Tail(settings, (DECISIONS, DEAD_LETTERS), self._came)

    async def start(self) -> None:
        """Connect. Raises Fatal where Kafka is away."""
        await self._tail.start()
        await self._publisher.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._publisher.stop()
        await self._tail.stop()

    async def send(self, asked: Asked) -> Source:
        """Where the question lies now; its outcome will carry this as `src`. Raises Doubt where nobody knows."""
        return await self._publisher.publish(asked.key, asked.value)

    async def ask(self, asked: Asked, wait_s: float) -> Answered | NotYet:
        """Send and wait for the decision. Raises Problem where there will be none."""
        return await self._asking.ask(asked, wait_s)

    async def outcome(self, src: Source, wait_s: float) -> Outcome | None:
        """The outcome of what was sent, within this time."""
        return await self._pending.outcome(src, wait_s)

    def _came(self, record: Record) -> None:
        try:
            outcome = outcome_of(record)
        except ValueError:  # not the pipeline's: it answers nobody
            return
        self._pending.came(outcome)
        if self._heard is not None:
            self._heard(outcome)
