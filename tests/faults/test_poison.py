"""F16: one context in a hundred is poison: each gets its reason, and no lane stops for any."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from backbone import clients
from backbone.settings import Settings
from schemas.headers import REASON, SRC, header_text
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS
from tests.faults.case import Case
from tests.faults.stop_points import Rig
from tests.support import feed

pytestmark = [pytest.mark.faults, pytest.mark.fault("F16")]

CONTEXTS_SENT = 3_000
ONE_IN = 100
CHUNK = 100
SEED = 16
REASONS = ("not_json", "unknown_schema_version", "too_large", "duplicate_context_id", "context_id_reused")
Message = tuple[bytes, bytes, str | None]  # key, value, and the reason it must be given


def spoiled(body: feed.Body, reason: str) -> bytes:
    """This context, or one like it, made so that it must be refused for this reason."""
    if reason == "not_json":
        return feed.value_of(body)[:-7]
    plain = {name: value for name, value in body.items() if name != "experiment"}  # it has no weight of its own
    if reason == "unknown_schema_version":
        return feed.value_of(plain | {"schema_version": 2})
    if reason == "too_large":
        return feed.value_of(plain | {"context": {"x": "y" * 300_000}})
    return feed.value_of(body if reason == "duplicate_context_id" else plain | {"horizon_s": 77})


def mixed(bodies: list[feed.Body], drawn: random.Random) -> Iterator[Message]:
    """These contexts, and behind every hundredth on average one that is poison, each kind in turn."""
    kinds = 0
    for number, body in enumerate(bodies):
        yield feed.key_of(body), feed.value_of(body), None
        if not drawn.randrange(ONE_IN):
            reason = REASONS[kinds % len(REASONS)]
            known = reason in REASONS[3:]
            yield feed.key_of(body), spoiled(body if known else body | {"context_id": f"poison-{number}"}, reason), reason
            kinds += 1


async def test_poison_gets_its_reason_and_its_neighbours_their_decisions(rig: Rig, case: Case) -> None:
    processes = [rig.start("router"), rig.start("worker")]
    messages = list(mixed(feed.bodies(CONTEXTS_SENT, 40, SEED, label=rig.label), random.Random(SEED)))
    case.seed, case.tried = SEED, sum(reason is not None for *_, reason in messages)
    wanted: dict[Source, str | None] = {}
    producer = clients.plain_producer(Settings(kafka_bootstrap=rig.bootstrap))
    await producer.start()
    try:
        for first in range(0, len(messages), CHUNK):
            chunk = messages[first : first + CHUNK]
            sent = [await producer.send(CONTEXTS, key=key, value=value) for key, value, _ in chunk]
            for at, (*_, reason) in zip(await asyncio.gather(*sent), chunk, strict=True):
                wanted[Source(at.topic, at.partition, at.offset)] = reason
            await rig.watch.read()
    finally:
        await clients.stop(producer)
    await rig.watch.until_answered(wanted)
    letters = rig.watch.of(DEAD_LETTERS)
    told = {Source.parse(header_text(each.headers, SRC) or ""): header_text(each.headers, REASON) for each in letters}
    case.fired = sum(told.get(source) == reason for source, reason in wanted.items() if reason is not None)
    case.figures = dict(Counter(str(told[source]) for source in wanted if source in told))
    case.judge(await rig.watch.settled(20), len(wanted))
    assert {source for source in wanted if source in told} == {source for source, reason in wanted.items() if reason}
    assert [each.said().count("lane.lost ") for each in processes] == [0, 0]
