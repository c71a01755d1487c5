"""What live questions feel of a replay, and a replay of live questions: one worker on a stand-in, the same processes throughout.

Each round: live alone at a steady rate; live beside a backlog of replays that would keep the engine busy for longer; then what is
left of the backlog, with nobody live.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from schemas.topic import CONTEXTS, DECISIONS, Side
from tests.bench.contexts import messages
from tests.bench.ground import Ground, stop_all
from tests.bench.load import Line, Offered
from tests.bench.log import Log
from tests.bench.measured import percentile
from tests.bench.warm import warm_broker
from tests.support import feed
from workers.replay_gate import QUIET_S

RATE = 10  # live contexts a second: a seventh of what the stand-in answers here
REPLAYS_A_SECOND = 60  # so many of the backlog there are for each second of live questions: more than can be answered
LEFT = 2_000  # of the backlog, for the time when nobody is live, the pause before it included
AFTER_MS = 1_700_000_000_000  # 2023-11-14: when they are said to have come, after the last of their candles
FIRST, REPLAYED_FIRST, WARM_UP_FIRST = 6 * 10**7, 7 * 10**7, 3 * 10**7
READY_S_MAX = 180.0
BACKLOG_S_MAX = 120.0
STILL_LIVE_S = 2.0  # after the last live context, until replays alone are measured: beside the gate's own pause


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to: ms of live answers, and replays a second."""

    alone_p50_ms: float
    alone_p99_ms: float
    beside_p50_ms: float
    beside_p99_ms: float
    replays_beside_per_s: float
    replays_alone_per_s: float


class SharingBench:
    """The rounds, one after the other through one router and one worker."""

    def __init__(self, ground: Ground, model: str, seconds: float, rounds: int, warm_s: float) -> None:
        self._ground, self._model, self._seconds, self._rounds, self._warm_s = ground, model, seconds, rounds, warm_s
        self._replayed = Log(ground.settings, [Side.REPLAYS.decisions])
        self._next, self._next_replay = FIRST, REPLAYED_FIRST

    async def run(self) -> dict[str, Any]:
        """Medians of the rounds, and what live p99 and the replays' rate beside each other are of each alone."""
        await warm_broker(self._ground, self._warm_s, WARM_UP_FIRST)
        pipeline = self._ground.pipeline((self._model,), "vllm")
        running = [pipeline.worker(self._model), pipeline.router()]
        try:
            for each in running:
                each.wait_ready(READY_S_MAX)
            async with Line(self._ground.settings, CONTEXTS, DECISIONS) as line:
                self._next = await line.warm_up(self._next, RATE * 5)
                rounds = [await self._round(line, turn) for turn in range(self._rounds)]
        finally:
            stop_all(running)
        return _report(self._model, rounds)

    async def _round(self, line: Line, turn: int) -> Round:
        alone = await self._live(line)
        started = await self._replayed.ends()
        backlog = await self._put_backlog(turn)
        beside = await self._live(line)
        between = await self._replayed.written(started)
        await asyncio.sleep(QUIET_S + STILL_LIVE_S)
        quiet = await self._replayed.ends()
        await self._replayed.still(quiet, BACKLOG_S_MAX)
        left, whole = await self._replayed.written(quiet), await self._replayed.written(started)
        assert whole.count == backlog, f"{whole.count} of {backlog} replays were decided"
        found = Round(*_ms(alone), *_ms(beside), between.count / beside.seconds, left.per_s)
        print("  " + "  ".join(f"{name} {value:.1f}" for name, value in asdict(found).items()), flush=True)
        return found

    async def _live(self, line: Line) -> Offered:
        count = int(RATE * self._seconds)
        first, self._next = self._next, self._next + count
        offered = await line.offer(list(messages(first, count)), RATE)
        assert offered.answered == 1, f"{offered.answered:.1%} of the live contexts were answered in time"
        return offered

    async def _put_backlog(self, turn: int) -> int:
        count = int(REPLAYS_A_SECOND * self._seconds) + LEFT
        first, self._next_replay = self._next_replay, self._next_replay + count
        bodies = [json.loads(each.value) for each in messages(first, count)]
        await feed.replay(self._ground.settings.kafka_bootstrap, bodies, f"bench-{turn}", AFTER_MS)
        return count


def _ms(offered: Offered) -> tuple[float, float]:
    took = sorted(offered.latencies_ms)
    return percentile(took, 0.5), percentile(took, 0.99)


def _report(model: str, rounds: list[Round]) -> dict[str, Any]:
    by_round = [asdict(each) for each in rounds]
    medians = {name: round(statistics.median(each[name] for each in by_round), 3) for name in by_round[0]}
    ratios = {
        "live p99 beside replays": medians["beside_p99_ms"] / medians["alone_p99_ms"],
        "live p50 beside replays": medians["beside_p50_ms"] / medians["alone_p50_ms"],
        "replays beside live": medians["replays_beside_per_s"] / medians["replays_alone_per_s"],
    }
    ratios = {name: round(each, 3) for name, each in ratios.items()}
    return {"model": model, "rate": RATE, "rounds": len(rounds), "medians": medians, "ratios": ratios, "by_round": by_round}
