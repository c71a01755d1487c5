"""A Kafka of three nodes for tests, each of which may be killed and started again; two of them must have what is acknowledged."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.kafka_node import KafkaNode
from deploy.local.ports import HOST, free_port
from tests.support.kafka import MODELS, SESSION_MS, Broker, apply_topics

NODES = 3
UP_S_MAX = 90.0
WHOLE_S_MAX = 60.0


class Cluster:
    """Three nodes on ports of their own, each broker and controller; about 350 MB each, up in some 5 s."""

    def __init__(self, folder: Path) -> None:
        ports, controllers = [[free_port() for _ in range(NODES)] for _ in range(2)]
        more = _shared(controllers)
        self.nodes = tuple(
            Broker(folder / str(n), KafkaNode(port, controller, folder / str(n), SESSION_MS, node_id=n, more=more))
            for n, (port, controller) in enumerate(zip(ports, controllers, strict=True), start=1)
        )

    @classmethod
    def start(cls, folder: Path) -> Cluster:
        """A cluster that is up."""
        cluster = cls(folder)
        for process in [node.launch() for node in cluster.nodes]:
            process.wait_ready(UP_S_MAX)
        return cluster

    @property
    def bootstrap(self) -> str:
        """Where clients connect: every node."""
        return ",".join(node.bootstrap for node in self.nodes)

    def stop(self) -> None:
        """End all at once: there is nobody left to hand anything over to."""
        for node in self.nodes:
            node.kill_if_up()

    def apply_topics(self, models: tuple[str, ...] = MODELS) -> None:
        """Make the pipeline's topics, a copy on every node."""
        apply_topics(self.bootstrap, models, replication=NODES)

    async def whole(self) -> None:
        """Return once every partition, Kafka's own too, has all its copies in step. AssertionError after 60 s."""
        deadline = time.monotonic() + WHOLE_S_MAX
        while behind := await self._behind():
            assert time.monotonic() < deadline, f"not in step after {WHOLE_S_MAX:.0f} s: {behind[:5]}"
            await asyncio.sleep(0.2)

    async def _behind(self) -> list[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5_000)
        try:
            await admin.start()
            described = await admin.describe_topics()
        except KafkaError as error:
            return [repr(error)]
        finally:
            await admin.close()
        places = [(topic["topic"], each) for topic in described for each in topic["partitions"]]
        return [f"{name}/{each['partition']}" for name, each in places if len(each["isr"]) < NODES] if places else ["no topic"]


def _shared(controllers: list[int]) -> dict[str, str]:
    """What every node is told."""
    voters = ",".join(f"{n}@{HOST}:{port}" for n, port in enumerate(controllers, start=1))
    replicated = ("default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor")
    two = ("min.insync.replicas", "transaction.state.log.min.isr")
    return {
        "controller.quorum.voters": voters,
        # A controller that is gone is noticed as soon as a broker is.
        "controller.quorum.election.timeout.ms": "1000",
        "controller.quorum.fetch.timeout.ms": str(SESSION_MS),
        # A copy that lags is out of step after this: what waits for it goes on without it.
        "replica.lag.time.max.ms": str(SESSION_MS),
        **dict.fromkeys(replicated, str(NODES)),
        **dict.fromkeys(two, "2"),
    }
