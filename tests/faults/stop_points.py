"""A pipeline of one router and one worker, one of which is made to stop at a named place."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from schemas.source import Source
from tests.support import feed
from tests.support.processes import Running
from tests.support.stack import Pipeline
from tests.support.watch import Watch

Room = Literal["router", "worker"]
MODEL = "phi3"
# Cases count lanes that are claimed and visits to stop points: what is replayed has both of its own, and its own tests.
OF_A_CASE = {"TRADING_LLM_SESSION_TIMEOUT_S": "6", "TRADING_LLM_REPLAYS": "false"}


@dataclass(slots=True)
class Rig:
    """The processes of a case. Contexts are numbered through, so that every case has names of its own."""

    pipeline: Pipeline
    watch: Watch
    label: str  # what this case's context_ids begin with: on the module's topics a name is decided once
    running: dict[Room, Running] = field(default_factory=dict)
    fed: int = 0

    @property
    def bootstrap(self) -> str:
        """The broker's address, also where processes speak to it over a wire."""
        return self.watch.settings.kafka_bootstrap

    def start(self, room: Room, ordinal: int = 0, **environment: str) -> Running:
        """A process of this room, ready."""
        process = self.launch(room, ordinal, **environment)
        return process.wait_ready()

    def launch(self, room: Room, ordinal: int = 0, **environment: str) -> Running:
        """A process of this room, started."""
        env = OF_A_CASE | environment
        process = self.pipeline.router(ordinal, env) if room == "router" else self.pipeline.worker(MODEL, ordinal, env)
        if ordinal == 0:
            self.running[room] = process
        return process

    async def started_again(self, victim: Running, room: Room, **environment: str) -> tuple[int, float, Running]:
        """Start it anew as soon as it has ended: its exit code, when that was (epoch ms), and the new one."""
        code = await asyncio.to_thread(victim.wait_exit, 60)
        ended_ms = time.time() * 1000
        return code, ended_ms, self.launch(room, **environment)

    async def go_on(self, seconds: float) -> None:
        """So much time passes, while the reader reads."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            await self.watch.read()

    async def feed(self, count: int, **fields: object) -> list[Source]:
        """So many new contexts over 40 keys, which is every partition, acknowledged."""
        self.fed += 1
        return await feed.send(self.bootstrap, feed.bodies(count, 40, self.fed, label=f"{self.label}-{self.fed}", **fields))


def asleep(process: Running) -> bool:
    """Whether it stands still, by SIGSTOP."""
    return "State:\tT" in Path(f"/proc/{process.pid}/status").read_text()


def fired(process: Running, name: str) -> int:
    """How often this process says that it stopped there."""
    return process.said().count(f"stop.fired name={name} ")
