"""What every test may ask for: a real Kafka, a real Redis, and the pipeline's processes on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.kafka import Broker
    from tests.support.redis import RedisServer
    from tests.support.stack import Pipeline


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Kafka for the whole session; ask for `fresh_topics` to find it empty."""
    from tests.support.kafka import Broker

    started = Broker.start(tmp_path_factory.mktemp("kafka"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def fresh_topics(broker: Broker) -> Broker:
    """The session's Kafka, wiped for this module, with the pipeline's topics."""
    broker.wipe()
    broker.apply_topics()
    return broker


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A Kafka for this test alone, with the pipeline's topics, to be killed and started again."""
    from tests.support.kafka import Broker

    started = Broker.start(tmp_path / "kafka")
    started.apply_topics()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the whole session; ask for `fresh_redis` to find it empty."""
    from tests.support.redis import RedisServer

    started = RedisServer.start(tmp_path_factory.mktemp("redis"))
    yield started
    started.stop()


@pytest.fixture
def fresh_redis(redis_server: RedisServer) -> RedisServer:
    """The session's Redis, flushed."""
    redis_server.flush()
    return redis_server


@pytest.fixture
def pipeline(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    """The pipeline's processes on the session's Kafka, none started yet, with the scripted engine."""
    from tests.support.stack import Pipeline

    made = Pipeline(fresh_topics, fresh_redis, tmp_path)
    yield made
    made.close()
