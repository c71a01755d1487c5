"""What the groups have committed for their lanes, looked at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from backbone import clients
from backbone.errors import Transient
from backbone.protocol import committed
from backbone.settings import Settings
from backbone.topics import Planned


async def read_committed(settings: Settings, planned: Sequence[Planned]) -> dict[tuple[str, int], tuple[int, str]]:
    """Of each lane of these topics the offset and metadata that are committed, with nothing pending; -1 where nothing is.

    Waits for transactions that are under way there. Raises Transient, within some 10 s, where an answer does not come.
    """
    lanes = [(str(each.group), each.name, p) for each in planned if each.group for p in range(each.partitions)]
    try:
        client = await clients.bare_client(settings)
        try:
            found = await asyncio.gather(*(committed(client, *lane) for lane in lanes))
        finally:
            await client.close()
    except (KafkaError, TimeoutError) as error:
        raise Transient(f"broker at {settings.kafka_bootstrap}: {error!r}") from error
    return {(topic, partition): at for (_, topic, partition), at in zip(lanes, found, strict=True)}
