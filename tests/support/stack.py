"""The pipeline's own processes for tests, against a broker and a Redis: one by one, each with its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.local.kafka_node import REPOSITORY
from deploy.local.ports import HOST, free_port
from deploy.local.ready import Probe
from tests.support.kafka import MODELS
from tests.support.processes import Running, start
from tests.support.redis import RedisServer

COMMAND_S_MAX = 120
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a process runs: what its command begins with, and the address at which it is asked whether it is ready."""

    inside: tuple[str, ...] = ()
    host: str = HOST


HERE = Site()


class Kafka(Protocol):
    """Where processes find their broker: one, several, or a wire to one."""

    @property
    def bootstrap(self) -> str:
        """host:port, several with commas."""


class Pipeline:
    """Routers, workers and a gateway; what is started here is ended by `close`, whatever happened to it."""

    def __init__(
        self, broker: Kafka, redis_server: RedisServer, folder: Path, models: tuple[str, ...] = MODELS, engine: str = "scripted"
    ) -> None:
        self._folder = folder
        self._started: list[Running] = []
        self.runner: tuple[str, ...] = ()  # a module, with its arguments, that runs the rooms; none: they run as they are
        self.environment = {
            "TRADING_LLM_KAFKA_BOOTSTRAP": broker.bootstrap,
            "TRADING_LLM_REDIS_URL": redis_server.url,
            "TRADING_LLM_MODELS": ",".join(models),
            "TRADING_LLM_ENGINE": engine,
            "TRADING_LLM_STATE_DIR": str(folder / "state"),
        }

    @property
    def started(self) -> tuple[Running, ...]:
        """Every process that was started, in order, dead or alive."""
        return tuple(self._started)

    def router(self, ordinal: int = 0, env: Mapping[str, str] = NOTHING) -> Running:
        """A router, started; not waited for."""
        return self._start(f"router-{ordinal}", "router", {"TRADING_LLM_ORDINAL": str(ordinal), **env})

    def worker(self, model: str, ordinal: int = 0, env: Mapping[str, str] = NOTHING, site: Site = HERE) -> Running:
        """A worker of this model, started; not waited for."""
        own = {"TRADING_LLM_MODEL": model, "TRADING_LLM_ORDINAL": str(ordinal)}
        return self._start(f"worker-{model}-{ordinal}", "workers", own | dict(env), site=site)

    def gateway(self, env: Mapping[str, str] = NOTHING) -> Running:
        """A gateway, started; not waited for."""
        port = free_port()
        return self._start("gateway", "gateway", {"TRADING_LLM_GATEWAY_PORT": str(port), **env}, port)

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """`trading-llm` with these arguments, as somebody on this pipeline runs it, to its end."""
        here = {**os.environ, **self.environment, "STATE_DIR": self.environment["TRADING_LLM_STATE_DIR"]}
        command = [sys.executable, "-m", "trading_llm", *map(str, arguments)]
        return subprocess.run(
            command, env=here, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False, cwd=REPOSITORY
        )  # fmt: skip

    def close(self) -> None:
        """End everything that was started."""
        for process in reversed(self._started):
            process.end()

    def _start(self, name: str, module: str, own: Mapping[str, str], port: int | None = None, site: Site = HERE) -> Running:
        port = port or free_port()
        command = (*site.inside, sys.executable, "-m", *self.runner, module)
        environment = self.environment | {"TRADING_LLM_HTTP_PORT": str(port)} | dict(own)
        process = start(name, command, environment, Probe("http", port, site.host), self._folder)
        self._started.append(process)
        return process
