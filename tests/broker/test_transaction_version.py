"""A cluster that was upgraded and left at the older transactions is refused with the remedy, which holds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backbone import topics
from backbone.errors import Fatal
from backbone.settings import Settings
from deploy.local.kafka_node import java
from deploy.local.kafka_setup import CLUSTER
from tests.support.kafka import MODELS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline

pytestmark = pytest.mark.broker


def kafka_tool(*command: str) -> None:
    done = subprocess.run((*java(), *command), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Broker]:
    """A Kafka at `transaction.version` 1, as an upgraded one may be left."""
    broker = Broker(tmp_path / "kafka")
    broker.folder.mkdir()
    settings = broker.folder / "server.properties"
    settings.write_text(broker.node.properties())
    kafka_tool("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(settings), "--feature", "transaction.version=1")
    broker.start_again()
    yield broker
    broker.stop()


@pytest.fixture
def stack(old: Broker, fresh_redis: RedisServer, tmp_path: Path) -> Iterator[Pipeline]:
    made = Pipeline(old, fresh_redis, tmp_path)
    yield made
    made.close()


async def test_a_cluster_left_at_older_transactions_is_refused_with_the_remedy(old: Broker, stack: Pipeline) -> None:
    settings = Settings(kafka_bootstrap=old.bootstrap)
    with pytest.raises(Fatal, match=r"transaction\.version is 1.*upgrade --feature transaction\.version=2"):
        await topics.apply(settings, MODELS)
    refusing = [stack.router(), stack.worker("phi3"), stack.gateway()]
    assert [each.wait_exit(60) for each in refusing] == [1, 1, 1]
    assert all("`kafka-features upgrade --feature transaction.version=2`" in each.said() for each in refusing)
    upgrade = ("upgrade", "--feature", "transaction.version=2")
    kafka_tool("org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", old.bootstrap, *upgrade)
    assert (await topics.apply(settings, MODELS)).lanes > 0
