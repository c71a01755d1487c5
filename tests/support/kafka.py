"""A real Kafka of one node for tests: started, killed, started again, wiped."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from backbone import topics
from backbone.settings import Settings
from deploy.local.kafka_node import KafkaNode
from deploy.local.ports import HOST, free_port
from deploy.local.ready import Probe
from tests.support.processes import Running, start
from tests.support.proxy import Proxy

MODELS = ("deepseek", "qwen", "fingpt", "phi3")
SESSION_MS = 3_000  # a node is silent for so long before its partitions get other leaders


def apply_topics(bootstrap: str, models: tuple[str, ...] = MODELS, replication: int = 1) -> None:
    """Make the pipeline's topics, each lane's first offset and the default policy."""
    asyncio.run(topics.apply(Settings(kafka_bootstrap=bootstrap), models, replication))


class Broker:
    """One Kafka on ports of its own, with its data in a folder. It is up 1.5 s after its start (two idle cores)."""

    def __init__(self, folder: Path, node: KafkaNode | None = None, *, quick: bool = True) -> None:
        self.folder = folder
        self.node = node or KafkaNode(free_port(), free_port(), folder, SESSION_MS, quick)
        self._process: Running | None = None

    @classmethod
    def start(cls, folder: Path, *, quick: bool = True) -> Broker:
        """A broker that is up; one that is not `quick` takes longer to warm up and then less time for everything."""
        broker = cls(folder, quick=quick)
        broker.start_again()
        return broker

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.node.port

    @property
    def bootstrap(self) -> str:
        """Where clients connect, as host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> Running:
        """Its process, to be paused, or asked for its pid and log."""
        assert self._process is not None, "the broker is not up"
        return self._process

    @property
    def pid(self) -> int:
        """Its process's number."""
        return self.process.pid

    def start_again(self) -> None:
        """Up, on the same ports, with the data it had."""
        self.launch().wait_ready(60)

    def launch(self) -> Running:
        """Its process, started; not waited for."""
        self.node.prepare()
        self._process = start("kafka", self.node.command(), {}, Probe("kafka", self.port), self.folder)
        return self._process

    def kill(self) -> None:
        """kill -9."""
        self.process.end()
        self._process = None

    def kill_if_up(self) -> None:
        """kill -9; nothing if it is not up."""
        if self._process is not None:
            self.kill()

    def stop(self) -> None:
        """An orderly end; nothing if it is not up."""
        if self._process is not None:
            self._process.stop(30)
            self._process = None

    def wipe(self) -> None:
        """Up on the same ports, without a topic, a group or a transactional id: nothing of an earlier test is left."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.start_again()

    def apply_topics(self, models: tuple[str, ...] = MODELS) -> None:
        """Make the pipeline's topics, each lane's first offset and the default policy."""
        apply_topics(self.bootstrap, models)


class ProxiedBroker(Broker):
    """One Kafka, to which whoever bootstraps at `wire.port` speaks through that proxy, and everybody else directly."""

    def __init__(self, folder: Path) -> None:
        port, controller_port, behind, before = (free_port() for _ in range(4))
        more = {
            "listeners": f"BROKER://{HOST}:{port},WIRE://{HOST}:{behind},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"BROKER://{HOST}:{port},WIRE://{HOST}:{before}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,WIRE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
        super().__init__(folder, KafkaNode(port, controller_port, folder, SESSION_MS, more=more))
        self.wire = Proxy(before, behind)
