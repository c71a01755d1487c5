"""The routing layer alone beside LiteLLM's proxy: the same questions, one at a time and sixteen at once, no model to wait for.

Ours is a router between `contexts` and the models' topics, whose workers (scripted) answer meanwhile; LiteLLM's stands between a
client and a server that answers at once. What each adds is measured against the same way without it: a record that is read
where it was written, the server asked directly.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from deploy.local.ports import free_port
from deploy.local.ready import Probe
from schemas.topic import CONTEXTS, model_topic
from tests.bench import peer_litellm
from tests.bench.asker import Asker
from tests.bench.chains import OURS, PARTITIONS
from tests.bench.contexts import Message, messages
from tests.bench.ground import Ground, stop_all
from tests.bench.load import Line, Offered
from tests.bench.measured import Measured
from tests.bench.usage import cpu_s
from tests.support.kafka import MODELS
from tests.support.processes import Running, start

AT_ONCE = (1, 16)
WARM_UP = 200
DIRECT = "direct"
READY_S_MAX = 120.0
FIRST = 9 * 10**7
WAYS = ("ours", "ours direct", "litellm", "litellm direct")

Offer = Callable[[Sequence[Message], int], Awaitable[Offered]]


def _asked(question: Message) -> bytes:
    content = question.value.decode()
    return json.dumps({"model": peer_litellm.MODEL, "max_tokens": 1, "messages": [{"role": "user", "content": content}]}).encode()


class LitellmBench:
    """Rounds of all four ways; only one of them runs at a time."""

    def __init__(self, ground: Ground, questions: int, rounds: int) -> None:
        self._ground, self._questions, self._rounds = ground, questions, rounds
        self._next = FIRST
        self.measured: dict[tuple[str, int], Measured] = defaultdict(Measured)

    async def run(self) -> dict[str, Any]:
        """The medians of each way at each number at once, and what ours is of LiteLLM's."""
        await asyncio.to_thread(peer_litellm.install)
        await self._ground.make_topics(DIRECT, partitions=PARTITIONS)
        for turn in range(self._rounds):
            for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
                await (self._on_kafka(way) if way.startswith("ours") else self._on_http(way))
        rows = [{"way": way, "at_once": count, **each.medians()} for (way, count), each in self.measured.items()]
        return {"questions": self._questions, "rounds": self._rounds, "rows": rows, "of_litellm": self._ratios()}

    def _ratios(self) -> dict[str, float]:
        found = {}
        for count in AT_ONCE:
            ours, theirs = (self.measured[way, count].medians() for way in ("ours", "litellm"))
            found[f"CPU, {count} at once"] = round(ours["own_cpu_ms"] / theirs["own_cpu_ms"], 3)
            found[f"CPU with the broker's, {count} at once"] = round(ours["cpu_ms"] / theirs["own_cpu_ms"], 3)
            found[f"added p50, {count} at once"] = round(self._added_ms("ours", count) / self._added_ms("litellm", count), 3)
        return found

    def _added_ms(self, way: str, count: int) -> float:
        return self.measured[way, count].medians()["p50_ms"] - self.measured[f"{way} direct", count].medians()["p50_ms"]

    async def _on_kafka(self, way: str) -> None:
        processes = OURS.start(self._ground, way) if way == "ours" else []
        path = (CONTEXTS, *map(model_topic, MODELS)) if way == "ours" else (DIRECT, DIRECT)
        try:
            async with Line(self._ground.settings, *path) as line:
                self._next = await line.warm_up(self._next, WARM_UP)
                for count in AT_ONCE:
                    await self._one(way, count, processes[:1], line.offer_closed)
        finally:
            stop_all(processes)

    async def _on_http(self, way: str) -> None:
        upstream_port, port = free_port(), free_port()
        processes = [self._ground.server("peer_upstream", upstream_port)]
        try:
            if way == "litellm":
                command = peer_litellm.command(self._ground.folder, port, upstream_port)
                probe = Probe("http", port, path="/health/liveliness")
                environment = peer_litellm.environment()
                processes.insert(0, start("litellm", command, environment, probe, self._ground.folder, self._ground.folder))
            for each in processes:
                each.wait_ready(READY_S_MAX)
            asker = Asker(port if way == "litellm" else upstream_port, _asked)
            await asker.offer_closed(self._questions_from(WARM_UP), AT_ONCE[-1])
            for count in AT_ONCE:
                await self._one(way, count, processes[:1] if way == "litellm" else [], asker.offer_closed)
        finally:
            for each in processes:
                each.end()

    def _questions_from(self, count: int) -> list[Message]:
        first, self._next = self._next, self._next + count
        return list(messages(first, count))

    async def _one(self, way: str, count: int, routing: Sequence[Running], offer: Offer) -> None:
        questions = self._questions_from(self._questions if count > 1 else self._questions // 4)  # one at a time takes longer
        pids, broker = [each.pid for each in routing], [self._ground.broker.pid] if way.startswith("ours") else []
        own_s, broker_s = cpu_s(pids), cpu_s(broker)
        offered = await offer(questions, count)
        rounds = self.measured[way, count]
        rounds.add(offered, cpu_s(pids) - own_s, cpu_s(broker) - broker_s)
        print(
            f"  {way:<15} {count:>2} at once  p50 {rounds.p50_ms[-1]:7.1f}  p99 {rounds.p99_ms[-1]:7.1f} ms  "
            f"{rounds.per_s[-1]:6.0f}/s  {rounds.own_cpu_ms[-1]:6.2f} ms CPU each",
            flush=True,
        )
