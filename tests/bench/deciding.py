"""How fast one worker decides on a stand-in, its router and broker included, beside what users would take instead.

Every way asks the same engine, with the same arguments, for the same tokens, as many at once: offline `LLM.generate`, the hobby
design (a consumer that asks `vllm serve`), LiteLLM's proxy in front of `vllm serve`, and our own worker that answers in labels
alone. The hobby design that asks for probabilities, too, is the one that gets what a decision has; none but ours is exactly once.
"""

from __future__ import annotations

import statistics
from typing import Any

from tests.bench.deciding_ways import LABEL, WAYS, WORKER, Taken, Way
from tests.bench.ground import Ground
from tests.bench.warm import warm_broker
from workers.catalogue import load_catalogue, serve

FIRST, WARM_UP_FIRST = 5 * 10**7, 3 * 10**7
GENERATE, HOBBY, PROBABLE, LITELLM = "LLM.generate", "hobby", "hobby with probabilities", "litellm"


class DecidingBench:
    """Rounds of the same contexts, once each way. Only one of them runs at a time; the order turns with each round."""

    def __init__(self, ground: Ground, model: str, count: int, rounds: int, warm_s: float) -> None:
        settings = ground.settings
        self._ground, self._warm_s = ground, warm_s
        served = serve(load_catalogue(settings.catalogue)[model], settings.catalogue, None)
        self._ways: dict[str, Way] = {name: way(ground, served) for name, way in WAYS.items()}
        self._model, self._count, self._rounds = model, count, rounds
        self.taken: dict[str, list[Taken]] = {name: [] for name in self._ways}

    async def run(self) -> dict[str, Any]:
        """The medians of each way, what ours is of each, and every round's figures."""
        await warm_broker(self._ground, self._warm_s, WARM_UP_FIRST)
        for way in self._ways.values():
            await way.prepare()
        for turn in range(self._rounds):
            first = FIRST + turn * self._count
            for name in list(self._ways)[:: 1 if turn % 2 == 0 else -1]:
                taken = await self._ways[name].take(first, self._count)
                self.taken[name].append(taken)
                print(f"  {name:<24} {taken}", flush=True)
            tokens = {name: of[turn].tokens for name, of in self.taken.items() if name != LABEL}
            assert len(set(tokens.values())) == 1, f"not the same work: {tokens}"
        medians = {name: _median(each) for name, each in self.taken.items()}
        return {
            "model": self._model, "contexts": self._count, "rounds": self._rounds, "medians": medians,
            "ratios": _ratios(medians), "by_round": {name: [vars(each) for each in taken] for name, taken in self.taken.items()},
        }  # fmt: skip


def _median(taken: list[Taken]) -> dict[str, float]:
    figures = [name for name in vars(taken[0]) if name != "tokens"]
    return {name: round(statistics.median(getattr(each, name) for each in taken), 3) for name in figures}


def _ratios(of: dict[str, dict[str, float]]) -> dict[str, float]:
    """What ours is of the others, the whole of our path: the router's and the broker's CPU are in it."""
    rate = {name: each["per_s"] for name, each in of.items()}
    cpu_ms = {name: each["cpu_ms"] + each["broker_cpu_ms"] for name, each in of.items()}
    found = {f"rate of {name}": rate[WORKER] / rate[name] for name in (GENERATE, HOBBY, PROBABLE, LITELLM)}
    found |= {f"CPU of {name}": cpu_ms[WORKER] / cpu_ms[name] for name in (HOBBY, PROBABLE, LITELLM)}
    found["rate in labels of in full"] = rate[LABEL] / rate[WORKER]
    return {name: round(each, 3) for name, each in found.items()}
