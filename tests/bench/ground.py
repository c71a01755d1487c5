"""What every measure stands on: a broker and a Redis of its own, and processes that are ended whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from backbone.settings import Settings
from deploy.local.ports import free_port
from deploy.local.ready import Probe
from tests.support.kafka import MODELS, Broker
from tests.support.processes import Running, start
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline

STOP_S_MAX = 20.0
APPLY_S_MAX = 120.0


@dataclass(slots=True)
class Ground:
    """A broker with the pipeline's topics, and a Redis. `pipeline()` and `peer()` start processes on them."""

    folder: Path
    broker: Broker
    redis: RedisServer
    _peers: list[Running] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """What a client of this ground needs."""
        return Settings(kafka_bootstrap=self.broker.bootstrap, redis_url=self.redis.url)

    def pipeline(self, models: tuple[str, ...], engine: str = "scripted") -> Pipeline:
        """The product's processes, none started yet."""
        return Pipeline(self.broker, self.redis, self.folder / "ours", models, engine)

    def peer(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Running:
        """A process of `tests/bench`, started: `python -m tests.bench.<module> BOOTSTRAP ARGUMENTS`."""
        command = (sys.executable, "-m", f"tests.bench.{module}", self.broker.bootstrap, *arguments)
        peer = start(module, command, env or {}, Probe("http", free_port()), self.folder)
        self._peers.append(peer)
        return peer

    def server(self, module: str, port: int, *arguments: str, path: str = "/ready") -> Running:
        """A server of `tests/bench`, started: `python -m tests.bench.<module> PORT ARGUMENTS`; `path` says when it is ready."""
        command = (sys.executable, "-m", f"tests.bench.{module}", str(port), *arguments)
        server = start(module, command, {}, Probe("http", port, path=path), self.folder)
        self._peers.append(server)
        return server

    def apply_topics_of(self, tree: Path) -> None:
        """Make the topics, and put the policy in force, as another checkout of this project does."""
        environment = {**os.environ, **self.pipeline(MODELS).environment}
        command = (sys.executable, "-m", "trading_llm", "topics", "apply")
        subprocess.run(command, cwd=tree, env=environment, check=True, timeout=APPLY_S_MAX, stdout=subprocess.DEVNULL)

    def router_of(self, tree: Path) -> Running:
        """A router, started, of another checkout of this project."""
        environment = self.pipeline(MODELS).environment | {"TRADING_LLM_HTTP_PORT": str(port := free_port())}
        router = start("router-before", (sys.executable, "-m", "router"), environment, Probe("http", port), self.folder, tree)
        self._peers.append(router)
        return router

    async def make_topics(self, *names: str, partitions: int) -> None:
        """Topics for peers; appended at the log's time, like the pipeline's."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        config = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config) for name in names])
        await admin.close()

    def close(self) -> None:
        """End everything."""
        for peer in self._peers:
            peer.end()
        self.redis.stop()
        self.broker.stop()


def stop_all(processes: list[Running]) -> None:
    """Ask each to end, then see that all have."""
    for process in processes:
        if process.popen.poll() is None:
            process.popen.terminate()
    for process in processes:
        process.wait_exit(STOP_S_MAX)
        process.end()


@contextmanager
def standing(*, quick: bool = True, topics_of: Path | None = None) -> Iterator[Ground]:
    """A ground in a folder of its own, that is gone afterwards; not `quick`: its broker is compiled as one that stays up.

    `topics_of`: another checkout, whose topics and policy it has, so that its processes can run here, too.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        ground = Ground(folder, Broker.start(folder / "kafka", quick=quick), RedisServer.start(folder / "redis"))
        try:
            if topics_of is None:
                ground.broker.apply_topics()
            else:
                ground.apply_topics_of(topics_of)
            yield ground
        finally:
            ground.close()
