"""How much latency the pipeline adds: the same offer to each chain in turn, round by round, only one of them running."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.bench.chains import CHAINS, FLOOR, OURS, Chain, prepare
from tests.bench.contexts import messages
from tests.bench.ground import Ground, stop_all
from tests.bench.load import Line
from tests.bench.measured import Measured
from tests.bench.usage import cpu_s, usage_of
from tests.bench.warm import warm_broker
from tests.support.kafka import MODELS
from tests.support.processes import Running

WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rates, contexts a second, for how long each, how often."""

    rates: tuple[int, ...] = (50, 200, 500)
    seconds: float = 5.0
    rounds: int = 3
    warm_s: float = 60.0  # of the broker, for all chains alike


Results = dict[tuple[str, int], Measured]


class LatencyBench:
    """The rounds, and what they found."""

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self._ground, self._plan = ground, plan
        self._next = 1
        self.measured: Results = defaultdict(Measured)
        self.memory_mb: dict[str, float] = {}

    async def run(self) -> dict[str, Any]:
        """Run all rounds; the order of the chains turns with each, so that none is always first."""
        await prepare(self._ground)
        self._next = await warm_broker(self._ground, self._plan.warm_s, self._next)
        for turn in range(self._plan.rounds):
            order = CHAINS if turn % 2 == 0 else CHAINS[::-1]
            for chain in order:
                await self._round(chain, str(turn))
        return report(self.measured, self._plan, self.memory_mb)

    async def _round(self, chain: Chain, turn: str) -> None:
        processes = chain.start(self._ground, turn)
        try:
            async with Line(self._ground.settings, chain.way_in, chain.way_out) as line:
                self._next = await line.warm_up(self._next, WARM_UP)
                for rate in self._plan.rates:
                    await self._offer(line, chain, rate, processes)
            self._weigh(chain, processes)
        finally:
            stop_all(processes)

    async def _offer(self, line: Line, chain: Chain, rate: int, processes: list[Running]) -> None:
        count = int(rate * self._plan.seconds)
        contexts = list(messages(self._next, count))
        self._next += count
        pids = [each.pid for each in processes]
        own_s, broker_s = cpu_s(pids), cpu_s([self._ground.broker.pid])
        offered = await line.offer(contexts, rate)
        spent = cpu_s(pids) - own_s, cpu_s([self._ground.broker.pid]) - broker_s
        measured = self.measured[chain.name, rate]
        measured.add(offered, *spent)
        print(
            f"  {chain.name:<17} {rate:>4}/s  p50 {measured.p50_ms[-1]:7.1f}  p99 {measured.p99_ms[-1]:7.1f} ms  "
            f"{offered.answered:6.1%}  {measured.cpu_ms[-1]:5.2f} ms CPU a context",
            flush=True,
        )

    def _weigh(self, chain: Chain, processes: list[Running]) -> None:
        if chain is OURS:
            gateway = self._ground.pipeline(MODELS).gateway()
            weighed = [*processes, gateway.wait_ready()]
            self.memory_mb |= {each.name: usage_of(each.pid).rss_mb for each in weighed}
            stop_all([gateway])
            self.memory_mb["kafka"] = usage_of(self._ground.broker.pid).rss_mb
            self.memory_mb["redis"] = usage_of(self._ground.redis.process.pid).rss_mb


def report(measured: Results, plan: Plan, memory_mb: dict[str, float]) -> dict[str, Any]:
    """The medians, with what each is beside the floor's and, round by round, all that was measured."""
    rows = []
    for (name, rate), each in measured.items():
        floor = measured[FLOOR.name, rate].medians()
        medians = each.medians()
        rows.append({"chain": name, "rate": rate, **medians, "of_floor": round(medians["p50_ms"] / floor["p50_ms"], 2)})
    rounds = {
        f"{name} {rate}": {"p50_ms": each.p50_ms, "p99_ms": each.p99_ms, "cpu_ms": each.cpu_ms}
        for (name, rate), each in measured.items()
    }
    return {
        "rates": plan.rates, "seconds": plan.seconds, "rounds": plan.rounds, "warm_s": plan.warm_s, "rows": rows,
        "by_round": rounds, "memory_mb": memory_mb,
    }  # fmt: skip
