"""Contexts for tests, and their way onto the topic."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from backbone import clients
from backbone.settings import Settings
from schemas.source import Source
from schemas.topic import CONTEXTS

Body = dict[str, Any]


def bodies(count: int, keys: int, seed: int, models: Sequence[str] = (), label: str = "c", **fields: Any) -> list[Body]:
    """So many contexts over so many keys, all different; `models`: which are preferred, in turn by chance.

    Each has a weight of its own in `experiment`, which its decision must carry.
    """
    drawn = random.Random(seed)
    out = []
    for number in range(count):
        key = drawn.randrange(keys)
        context = {"price": round(drawn.uniform(10, 60_000), 2), "volume": drawn.randrange(1, 10**6)}
        preference = {"model_preference": drawn.choice(models)} if models else {}
        out.append({
            "context": context, "bot_id": f"bot{key % 17}", "symbol": f"S{key}USD", "context_id": f"{label}-{number}",
            "experiment": f"w{drawn.randrange(10**9)}-{number}", **preference, **fields,
        })  # fmt: skip
    return out


def value_of(body: Body) -> bytes:
    """A body as a bot writes it."""
    return json.dumps(body).encode()


def key_of(body: Body) -> bytes:
    """The key that the contract gives it."""
    return f"{body['bot_id']}:{body['symbol']}".encode()


async def send(bootstrap: str, contexts: Iterable[Body], producer: clients.AIOKafkaProducer | None = None) -> list[Source]:
    """Write these contexts under their keys; answers where each lies, once all are acknowledged."""
    own = producer or clients.plain_producer(Settings(kafka_bootstrap=bootstrap))
    if producer is None:
        await own.start()
    try:
        sent = [await own.send(CONTEXTS, key=key_of(body), value=value_of(body)) for body in contexts]
        return [Source(each.topic, each.partition, each.offset) for each in [await one for one in sent]]
    finally:
        if producer is None:
            await clients.stop(own)
