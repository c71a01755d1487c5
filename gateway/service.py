"""The gateway's parts, started and stopped together: it writes questions, reads every outcome, and knows of the models."""

from __future__ import annotations

import time
from pathlib import Path

from backbone import telemetry, topics
from backbone.heartbeat import Heartbeats
from backbone.settings import Settings
from backbone.tail import Tail
from gateway import metrics
from gateway.asking import Asking
from gateway.models import Models
from gateway.outcome import outcome_of
from gateway.pending import Pending
from gateway.publisher import Publisher
from gateway.seen import Seen
from schemas.record import Record
from schemas.topic import DEAD_LETTERS, DECISIONS, MODELS_STATUS


class Service:
    """What the routes work on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.models = Models(settings.catalogue_names, settings.models)
        self.pending = Pending(Seen())
        self.heartbeats = Heartbeats(settings)
        self._publisher = Publisher(settings)
        self.asking = Asking(self._publisher, self.pending)
        self._outcomes = Tail(settings, (DECISIONS, DEAD_LETTERS), self._came)
        self._status = Tail(settings, (MODELS_STATUS,), self.models.told, from_start=True)
        self._progress_file: Path | None = settings.progress_file
        metrics.WAITING.set_function(lambda: self.pending.taken)

    @property
    def ready(self) -> bool:
        """Whether no outcome of what is asked now can be missed, and the broker answers."""
        return self._outcomes.fresh

    async def start(self) -> None:
        """Take the place to read outcomes from before anything is written. Raises Fatal where Kafka is away."""
        await topics.check(self.settings, self.settings.catalogue_names)
        await self._outcomes.start()
        await self._status.start()
        await self._publisher.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._publisher.stop()
        await self._outcomes.stop()
        await self._status.stop()
        await self.heartbeats.close()

    async def ended(self) -> None:
        """Returns, or raises why, once outcomes are read no more."""
        await self._outcomes.ended()

    def answered(self) -> None:
        """Tell the supervisor, once, that this process has served an answer: failures are counted anew from here."""
        if self._progress_file is not None:
            self._progress_file.touch()
            self._progress_file = None

    def _came(self, record: Record) -> None:
        try:
            outcome = outcome_of(record)
        except ValueError as error:
            telemetry.event("outcome.unreadable", at=record.source, error=error)
            return
        self.pending.came(outcome)
        self.models.decided(outcome)
        metrics.seen(outcome)


def now_ms() -> int:
    """The wall clock, in epoch ms."""
    return time.time_ns() // 1_000_000
