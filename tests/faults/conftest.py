"""One router and one worker on the session's Kafka, and a reader of all they write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.stop_points import MODEL, Rig
from tests.support.kafka import Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching


@pytest.fixture
async def rig(fresh_topics: Broker, fresh_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig without processes; whatever is started on it ends with the test. Topics are the module's."""
    pipeline = Pipeline(fresh_topics, fresh_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(fresh_topics.bootstrap, (MODEL,)) as watch:
            yield Rig(pipeline, watch, label=tmp_path.name)
    finally:
        pipeline.close()
