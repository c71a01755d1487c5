"""How many questions wait at one model: what its workers and Kafka last said, and what was sent and answered since. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.status import Heartbeat

# A service time is known from answers. One from longer ago says nothing of now: who was slow then must not be passed over for
# ever by questions that have less time, since only their answers could tell.
SERVICE_KNOWN_MS = 60_000


class Waiting:
    """Two counts, each the newest that was said and what happened since: by the workers, who know only what they have read, and
    by Kafka, whose count is older and holds all, and transaction markers too. The larger one is believed.
    """

    def __init__(self) -> None:
        self._said, self._sent = 0, 0
        self._open_offsets, self._left = 0, 0
        self.concurrency = 1
        self.service_ms: float | None = None  # as last said
        self._answered_ms = 0  # when there last was an answer that could change it

    @property
    def questions(self) -> int:
        """How many have no answer yet, at most."""
        return max(self._said + self._sent, self._open_offsets + self._left, 0)

    def service_ms_at(self, now_ms: int) -> float | None:
        """How long one answer takes; None where nobody knows, or knows only of long ago."""
        return self.service_ms if now_ms - self._answered_ms <= SERVICE_KNOWN_MS else None

    def beats(self, beats: Sequence[Heartbeat], now_ms: int) -> None:
        """Its workers' newest heartbeats; nothing changes where there is none."""
        if not beats:
            return
        self._said, self._sent = sum(beat.queue + beat.in_flight for beat in beats), 0
        self.concurrency = sum(beat.concurrency for beat in beats)
        known = [beat.service_ms for beat in beats if beat.service_ms is not None]
        service_ms = sum(known) / len(known) if known else None
        if service_ms != self.service_ms:
            self.service_ms, self._answered_ms = service_ms, now_ms

    def unheard(self) -> None:
        """No worker's heartbeat can be read: what was sent since the last one is in Kafka's count, less what was answered."""
        self._said, self._sent = 0, 0

    def looked(self, open_offsets: int) -> None:
        """Kafka holds so many offsets without an outcome: up to so many questions, and the markers of their transactions."""
        self._open_offsets, self._left = open_offsets, 0

    def sent(self) -> None:
        """This router sent one more."""
        self._sent += 1
        self._left += 1

    def ended(self, now_ms: int) -> None:
        """One more has come to an end."""
        self._left -= 1
        self._answered_ms = now_ms
