"""The whole pipeline under random kill -9, judged from its logs; prints figures.

    python -m tests.faults.once --contexts 10000 --kills 20 --routers 3 --workers 2 --seed 1

Exit 0: every context has exactly one outcome, in order. `--then COMMAND` runs a command against the broker, while it is still
up (its address stands in TRADING_LLM_KAFKA_BOOTSTRAP, and {} in the command), as another judge.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backbone import clients
from backbone.settings import Settings
from schemas.source import Source
from tests.faults.recovery import owned, passages, recoveries_s
from tests.support import feed
from tests.support.kafka import MODELS, Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching
from trading_llm.verdict import Verdict

KEYS = 500
CHUNK = 50  # contexts sent at once
READY_S_MAX = 180.0
SUPERVISE_S = 0.2
TTL_MS = 1_800_000  # nothing expires while processes are being killed


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent, through how many processes, of which how many are killed, `pause_s` apart."""

    contexts: int
    kills: int
    routers: int
    workers: int
    seed: int
    models: tuple[str, ...] = MODELS
    brokers: int = 0  # 1: the broker is a victim as any other
    pause_s: float = 2.0
    settle_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What is killed from, and who all were started there."""

    broker: Broker
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Struck:
    """One kill: when (epoch ms), and whose lanes then had no owner."""

    at_ms: float
    lanes: frozenset[tuple[str, int]]


@dataclass(slots=True)
class Report:
    """What came of it."""

    plan: Plan
    verdict: Verdict | None = None
    seconds: float = 0.0
    killed: Counter[str] = field(default_factory=Counter)
    fell: Counter[str] = field(default_factory=Counter)  # ended by themselves, at the start or on the way
    struck: list[Struck] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)  # from each kill of a router or worker, each of its lanes

    def __str__(self) -> str:
        fired = ", ".join(f"{count} kill -9 of a {room}" for room, count in sorted(self.killed.items())) or "none"
        return (
            f"{self.plan.contexts} contexts, {KEYS} keys, {self.plan.routers} routers, {self.plan.workers} workers a model, "
            f"models {' '.join(self.plan.models)}, seed {self.plan.seed}\n"
            f"faults that fired: {fired} ({self.killed.total()} of {self.plan.kills}); ended by themselves: {self.fell.total()}\n"
            f"{self.seconds:.1f} s from the first context to the last outcome\n{self.verdict}"
        )


async def run(plan: Plan, broker: Broker, redis_server: RedisServer, folder: Path) -> Report:
    """Start the processes, feed and kill at once, wait until all is settled, and judge. Topics must be fresh."""
    pipeline = Pipeline(broker, redis_server, folder, models=plan.models)
    starts = list(_starts(plan, pipeline))
    report = Report(plan)
    try:
        running = [start() for start in starts]
        for index in range(len(running)):
            await _ready(index, starts, running, report)
        async with watching(broker.bootstrap, plan.models) as watch:
            began_s = time.monotonic()
            feeding = asyncio.create_task(_feed(plan, broker.bootstrap))
            async with _supervise(starts, running, report):
                await _kill(Ground(broker, pipeline), starts, running, report)
                await _until_answered(watch, await feeding, plan)
            report.seconds = time.monotonic() - began_s
            report.verdict = await watch.settled(60)
            found = passages(watch, plan.models)
            report.recovery_s = [s for each in report.struck for s in recoveries_s(found, each.lanes, each.at_ms)]
        return report
    finally:
        pipeline.close()


async def _ready(index: int, starts: Sequence[Callable[[], Running]], running: list[Running], report: Report) -> None:
    """Wait for it; one that falls by itself is started again, as a supervisor would, and counted."""
    deadline = time.monotonic() + READY_S_MAX
    while not running[index].probe.answers():
        assert time.monotonic() < deadline, f"{running[index].name} is not ready after {READY_S_MAX:.0f} s"
        if running[index].popen.poll() is not None:
            report.fell[running[index].name] += 1
            running[index] = starts[index]()
        await asyncio.sleep(0.1)


def _starts(plan: Plan, pipeline: Pipeline) -> Sequence[Callable[[], Running]]:
    routers = [lambda ordinal=ordinal: pipeline.router(ordinal) for ordinal in range(plan.routers)]
    pairs = [(model, ordinal) for model in plan.models for ordinal in range(plan.workers)]
    return [*routers, *(lambda model=model, ordinal=ordinal: pipeline.worker(model, ordinal) for model, ordinal in pairs)]


async def _feed(plan: Plan, bootstrap: str) -> list[Source]:
    """Send everything, spread over the time that the kills take."""
    bodies = feed.bodies(plan.contexts, KEYS, plan.seed, plan.models, ttl_ms=TTL_MS)
    longer = 1 + 0.5 * plan.brokers  # a broker takes longer to come back
    pause_s = plan.kills * plan.pause_s * longer / (len(bodies) / CHUNK)
    sources: list[Source] = []
    producer = clients.plain_producer(_settings(bootstrap))
    await producer.start()
    try:
        for first in range(0, len(bodies), CHUNK):
            sources += await feed.send(bootstrap, bodies[first : first + CHUNK], producer)
            await asyncio.sleep(pause_s)
    finally:
        await clients.stop(producer)
    return sources


async def _kill(ground: Ground, starts: Sequence[Callable[[], Running]], running: list[Running], report: Report) -> None:
    """kill -9 of one at a time, each started again at once; who, by the seed."""
    plan, broker = report.plan, ground.broker
    drawn = random.Random(plan.seed)
    for _ in range(plan.kills):
        await asyncio.sleep(drawn.uniform(0.5, 1.5) * plan.pause_s)
        index = drawn.randrange(len(starts) + plan.brokers)
        if index == len(starts):
            broker.kill()
            await asyncio.to_thread(broker.start_again)
            report.killed["broker"] += 1
        elif (victim := running[index]).popen.poll() is None:
            victim.kill()
            at_ms = time.time() * 1000
            running[index] = starts[index]()
            report.killed["router" if index < plan.routers else "worker"] += 1
            report.struck.append(Struck(at_ms, frozenset(owned(ground.pipeline.started, victim, at_ms))))


@contextlib.asynccontextmanager
async def _supervise(starts: Sequence[Callable[[], Running]], running: list[Running], report: Report) -> AsyncIterator[None]:
    """Who ends by itself, as on a broker that is away, is started again at once and counted."""

    async def look() -> None:
        while True:
            await asyncio.sleep(SUPERVISE_S)
            for index, process in enumerate(running):
                if process.popen.poll() is not None:
                    report.fell[process.name] += 1
                    running[index] = starts[index]()

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()


async def _until_answered(watch: Watch, sources: list[Source], plan: Plan) -> None:
    """As long as outcomes keep coming; what never comes is the verdict's to name."""
    deadline, seen = time.monotonic() + plan.settle_s, -1
    while set(sources) - watch.answered and time.monotonic() < deadline:
        await watch.read()
        if len(watch.answered) > seen:
            seen, deadline = len(watch.answered), time.monotonic() + plan.settle_s


def _settings(bootstrap: str) -> Settings:
    return Settings(kafka_bootstrap=bootstrap)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = (("contexts", 10_000), ("kills", 20), ("routers", 3), ("workers", 2), ("seed", 1), ("brokers", 0))
    for name, default in numbers:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--then", default="", help="a command to run on the broker afterwards")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that starts is not worth a line
    plan = Plan(asked.contexts, asked.kills, asked.routers, asked.workers, asked.seed, brokers=asked.brokers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker, redis_server = Broker.start(folder / "kafka"), RedisServer.start(folder / "redis")
        try:
            broker.apply_topics()
            report = asyncio.run(run(plan, broker, redis_server, folder / "processes"))
            sys.stdout.write(f"{report}\n")
            return max(_then(asked.then, broker), int(report.verdict is None or not report.verdict.holds))
        finally:
            redis_server.stop()
            broker.stop()


def _then(command: str, broker: Broker) -> int:
    if not command:
        return 0
    env = {**os.environ, "TRADING_LLM_KAFKA_BOOTSTRAP": broker.bootstrap}
    return subprocess.run(command.replace("{}", broker.bootstrap), shell=True, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
