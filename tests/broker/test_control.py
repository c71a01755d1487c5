"""`control` is confirmed read over a wire that is slow, and no halt is passed over on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backbone import clients
from backbone.control import FRESH_S, Control
from backbone.settings import Settings
from schemas.topic import CONTROL
from tests.support.kafka import ProxiedBroker

pytestmark = pytest.mark.broker

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
    producer = clients.plain_producer(Settings(kafka_bootstrap=proxied.bootstrap))
    await producer.start()
    await producer.send_and_wait(CONTROL, key=b"halt/all", value=b"{}")
    halted_s = time.monotonic()
    while (halt := control.halt_for("b", "s", None)) is None and time.monotonic() < halted_s + 10:
        assert not control.fresh or time.monotonic() - halted_s < FRESH_S
        await asyncio.sleep(LOOK_EVERY_S)
    assert halt is not None
    await clients.stop(producer)
    await control.stop()


async def share_fresh(control: Control) -> float:
    """Of the looks within five seconds, those that found it fresh."""
    looks, until_s = [], time.monotonic() + WATCHED_S
    while time.monotonic() < until_s:
        looks.append(control.fresh)
        await asyncio.sleep(LOOK_EVERY_S)
    return sum(looks) / len(looks)
