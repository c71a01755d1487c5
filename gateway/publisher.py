"""Writes questions to `contexts`, through FastStream's broker, and says where each one lies."""

from __future__ import annotations

import asyncio

from backbone import clients
from backbone.edges import edge_broker
from backbone.errors import Doubt, Fatal
from backbone.settings import Settings
from schemas import headers as names
from schemas.source import Source
from schemas.topic import CONTEXTS


class Publisher:
    """One idempotent producer. It partitions by murmur2, as every producer of `contexts` must."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker = edge_broker(settings, "POST /decide writes contexts; decisions and dead letters come back")

    async def start(self) -> None:
        """Connect. Raises Fatal where the broker is away."""
        try:
            await asyncio.wait_for(self._broker.connect(), self._settings.request_timeout_s)
        except (clients.KafkaError, TimeoutError) as error:
            await self.stop()
            raise Fatal(f"broker at {self._settings.kafka_bootstrap}: {error!r}; is it up?") from error

    async def stop(self) -> None:
        """Disconnect, within 3 s."""
        await asyncio.wait([asyncio.create_task(self._broker.stop())], timeout=clients.STOP_S_MAX)

    async def publish(self, key: bytes, value: bytes, traceparent: str | None = None) -> Source:
        """Where the question lies now. Raises Doubt when nobody knows whether it was written: the same id may be sent again."""
        sent = {names.CONTENT_TYPE: names.JSON_CONTENT.decode(), names.SCHEMA: names.CONTEXT_SCHEMA.decode()}
        if traceparent is not None:
            sent[names.TRACEPARENT] = traceparent
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                written = await self._broker.publish(value, CONTEXTS, key=key, headers=sent)
        except (clients.KafkaError, TimeoutError) as error:
            raise Doubt(f"topic {CONTEXTS}: {error!r}") from error
        return Source(written.topic, written.partition, written.offset)
