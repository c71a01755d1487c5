"""A router and workers of one model on a Kafka of their own choosing, a reader of all they write, and a line a case."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.case import Case
from tests.faults.stop_points import MODEL, Rig
from tests.support.kafka import Broker, ProxiedBroker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

PASSED = pytest.StashKey[bool]()


@pytest.fixture
async def rig(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig without processes; whatever is started on it ends with the test. Topics are the module's."""
    pipeline = Pipeline(fresh_topics, fresh_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(fresh_topics.bootstrap, (MODEL,)) as watch:
            yield Rig(pipeline, watch, label=tmp_path.name)
    finally:
        pipeline.close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedBroker]:
    """A Kafka for this module, with the pipeline's topics, and a wire to it."""
    broker = ProxiedBroker(tmp_path_factory.mktemp("proxied"))
    broker.start_again()
    broker.wire.start()
    try:
        broker.apply_topics()
        yield broker
    finally:
        broker.wire.stop()
        broker.stop()


@pytest.fixture
async def wired(proxied: ProxiedBroker, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig whose processes speak to Kafka over the module's wire; its reader does not."""
    pipeline = Pipeline(proxied.wire, fresh_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(proxied.bootstrap, (MODEL,)) as watch:
            yield Rig(pipeline, watch, label=tmp_path.name)
    finally:
        pipeline.close()


@pytest.fixture(autouse=True)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """What this case comes to, kept as a line whatever happens."""
    marker = request.node.get_closest_marker("fault")
    assert marker is not None, "every case names its fault: pytest.mark.fault"
    made, began_s = Case(marker.args[0], request.node.name), time.monotonic()
    yield made
    made.keep(request.node.stash.get(PASSED, False), time.monotonic() - began_s)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Note for the case whether its test passed."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report
