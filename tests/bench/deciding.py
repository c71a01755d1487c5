"""How fast one worker decides on a stand-in, fed from Kafka, beside offline `LLM.generate` on the same prompts."""

from __future__ import annotations

import statistics
from typing import Any

from schemas.topic import CONTEXTS, DECISIONS, model_topic
from tests.bench.contexts import messages
from tests.bench.ground import Ground, stop_all
from tests.bench.log import Log, fill
from tests.bench.usage import usage_of
from tests.support.processes import Running

READY_S_MAX = 180.0
S_MAX = 300.0
FIRST = 5 * 10**7


class DecidingBench:
    """Rounds of the same contexts: once through a worker, once through the engine alone. Never both at once."""

    def __init__(self, ground: Ground, model: str, count: int, rounds: int) -> None:
        self._ground, self._model, self._count, self._rounds = ground, model, count, rounds
        self._hop = Log(ground.settings, [model_topic(model)])
        self._decisions = Log(ground.settings, [DECISIONS])
        self.per_s: dict[str, list[float]] = {"ours": [], "generate": []}
        self.worker_mb = 0.0

    async def run(self) -> dict[str, Any]:
        """Decisions a second of each, a figure a round, and the ratio of the medians."""
        for turn in range(self._rounds):
            first = FIRST + turn * self._count
            for way in ("ours", "generate") if turn % 2 == 0 else ("generate", "ours"):
                per_s = await self._ours(first) if way == "ours" else self._generate(first)
                self.per_s[way].append(per_s)
                print(f"  {way:<9} {per_s:6.1f} decisions/s", flush=True)
        medians = {way: round(statistics.median(each), 2) for way, each in self.per_s.items()}
        return {
            "model": self._model, "contexts": self._count, "rounds": self._rounds, "per_s": medians,
            "by_round": self.per_s, "of_generate": round(medians["ours"] / medians["generate"], 3),
            "worker_mb": self.worker_mb,
        }  # fmt: skip

    async def _ours(self, first: int) -> float:
        """From the first context on the model's topic to the last decision, by the log's clock."""
        pipeline = self._ground.pipeline((self._model,), "vllm")
        running = [pipeline.worker(self._model), pipeline.router()]
        try:
            for each in running:
                each.wait_ready(READY_S_MAX)
            return await self._feed(running[0], first)
        finally:
            stop_all(running)

    async def _feed(self, worker: Running, first: int) -> float:
        hop, decisions = await self._hop.ends(), await self._decisions.ends()
        await fill(self._ground.settings, CONTEXTS, list(messages(first, self._count)))
        await self._decisions.still(decisions, S_MAX)
        self.worker_mb = usage_of(worker.pid).pss_mb
        came, went = await self._hop.written(hop), await self._decisions.written(decisions)
        assert came.count == went.count == self._count, f"{went.count} of {self._count} were decided"
        return self._count / (went.last_ms - came.first_ms) * 1000

    def _generate(self, first: int) -> float:
        file = self._ground.folder / "generate.txt"
        file.unlink(missing_ok=True)
        peer = self._ground.peer("peer_generate", self._model, str(first), str(self._count), str(file))
        assert peer.wait_exit(S_MAX) == 0, f"LLM.generate failed: {peer.log.read_text()[-2000:]}"
        return float(file.read_text())
