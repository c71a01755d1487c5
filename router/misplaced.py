"""Keys in a partition of `contexts` that is not theirs: neither order nor dedupe holds for them, and people should know."""

from __future__ import annotations

import time

from backbone import telemetry
from backbone.keys import partition_of
from backbone.topics import CONTEXTS_PARTITIONS
from schemas.record import Record

NAMED_EVERY_S = 10.0  # a bot with another partitioner would fill the log
KEY_CHARACTERS_MAX = 80


class Misplaced:
    """Counts each such record, and names one of them now and then, with the remedy."""

    def __init__(self) -> None:
        self._named_s: float | None = None
        self._unnamed = 0

    def look(self, record: Record) -> None:
        """Take in one record of `contexts`."""
        if not record.key or (belongs := partition_of(record.key, CONTEXTS_PARTITIONS)) == record.source.partition:
            return
        telemetry.MISPLACED_KEYS.inc()
        if self._named_s is not None and time.monotonic() - self._named_s < NAMED_EVERY_S:
            self._unnamed += 1
            return
        key = repr(record.key.decode("utf-8", "replace")[:KEY_CHARACTERS_MAX])
        facts = {"src": record.source, "key": key, "belongs_in": belongs, "unnamed": self._unnamed}
        telemetry.event("key.misplaced", **facts, remedy="'its producer must partition by murmur2'")
        self._named_s, self._unnamed = time.monotonic(), 0
