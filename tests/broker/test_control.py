"""`control` is confirmed read over a wire that is slow, and no halt is passed over on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from backbone import clients
from backbone.control import FRESH_S, Control
from backbone.settings import Settings
from schemas.topic import CONTROL
from tests.support.kafka import Broker, ProxiedBroker

pytestmark = pytest.mark.broker

FETCH = 1
DELAY_S = 0.15  # each way
WATCHED_S = 5.0
LOOK_EVERY_S = 0.01


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[ProxiedBroker]:
    broker = ProxiedBroker(tmp_path / "kafka")
    await asyncio.to_thread(broker.start_again)
    broker.wire.start()
    try:
        await asyncio.to_thread(broker.apply_topics)
        yield broker
    finally:
        broker.wire.stop()
        broker.stop()


async def test_control_is_fresh_over_a_slow_wire_until_a_halt_is_there_that_was_not_read(proxied: ProxiedBroker) -> None:
    control = Control(Settings(kafka_bootstrap=proxied.wire.bootstrap), fail=lambda error: pytest.fail(repr(error)))
    await control.start()
    proxied.wire.delay_s = DELAY_S
    await asyncio.sleep(1)
    assert await share_fresh(control) > 0.5  # nearly always; this machine may be busy
    proxied.wire.hold = lambda request: "reply" if request.api_key == FETCH else None
    await asyncio.sleep(FRESH_S)  # what was asked for before is answered by now
    await write(proxied.bootstrap, b"halt/all", b"{}")
    await asyncio.sleep(2 * FRESH_S)
    assert control.halt_for("b", "s", None) is None and await share_fresh(control) == 0
    proxied.wire.hold = lambda _request: None
    proxied.wire.reset()  # else it waits for what is held back
    await until(lambda: control.halt_for("b", "s", None) is not None and control.fresh)
    await control.stop()


async def test_a_policy_under_anothers_digest_is_refused_and_the_old_one_holds(fresh_topics: Broker) -> None:
    control = Control(Settings(kafka_bootstrap=fresh_topics.bootstrap), fail=lambda error: pytest.fail(repr(error)))
    await control.start()
    in_force = control.policy()
    assert in_force is not None
    for number, other in enumerate((b'{"text": "version = 7"}', b"{", b"[]", b'{"text": 5}')):
        await write(fresh_topics.bootstrap, f"policy/{in_force.digest}".encode(), other)
        await write(fresh_topics.bootstrap, f"halt/bot/{number}".encode(), b"{}")
        await until(partial(control.halt_for, str(number), "s", None))
        assert control.policy() == in_force
    await control.stop()
    later = Control(Settings(kafka_bootstrap=fresh_topics.bootstrap), fail=lambda error: pytest.fail(repr(error)))
    await later.start()
    assert later.policy() == in_force
    await later.stop()


async def write(bootstrap: str, key: bytes, value: bytes) -> None:
    """A record of `control`, written by whoever may write there."""
    producer = clients.plain_producer(Settings(kafka_bootstrap=bootstrap))
    await producer.start()
    await producer.send_and_wait(CONTROL, key=key, value=value)
    await clients.stop(producer)


async def until(holds: Callable[[], object]) -> None:
    """Wait for it, at most ten seconds."""
    for _ in range(int(10 / LOOK_EVERY_S)):
        if holds():
            return
        await asyncio.sleep(LOOK_EVERY_S)
    pytest.fail("it does not come to hold")


async def share_fresh(control: Control) -> float:
    """Of the looks within five seconds, those that found it fresh."""
    looks, until_s = [], time.monotonic() + WATCHED_S
    while time.monotonic() < until_s:
        looks.append(control.fresh)
        await asyncio.sleep(LOOK_EVERY_S)
    return sum(looks) / len(looks)
