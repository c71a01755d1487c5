"""Whether a process is still the one behind its static name in a group."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from backbone.protocol import member_ids

LOOK_S_MAX = 3.0


class Membership:
    """One static member, which its process and the broker know by an id that the broker gives at each join."""

    def __init__(self, consumer: AIOKafkaConsumer, group: str, instance: str) -> None:
        self._consumer, self._group, self._instance = consumer, group, instance
        self._id = ""

    @property
    def instance(self) -> str:
        """The static name."""
        return self._instance

    def joined(self) -> None:
        """Partitions were assigned to us: this is our place."""
        self._id = self._consumer._coordinator.member_id

    async def is_taken(self) -> bool:
        """Whether another process has our name, and with it our place.

        A broker that does not know us any more has dropped us because we were silent for too long, or has given our place to
        whoever joined under our name. In the first case we join again; in the second each join would throw the other out,
        for ever. A static member's id begins with its name.
        """
        if not self._id or self._consumer._coordinator.member_id:
            return False
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                ids = await member_ids(self._consumer._client, self._group)
        except (KafkaError, TimeoutError, OSError):
            return False  # nobody knows: we join, as ever
        return any(each.startswith(f"{self._instance}-") and each != self._id for each in ids)
