"""The example bots at work on real candles: each asks, waits for its decision, acts on paper, and asks again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from examples.momentum_bot import MomentumBot
from gateway.fresh_id import RANDOM_BITS, uuid7
from gateway.intake import Asked, Naming, take
from gateway.outcome import Answered, Outcome
from schemas.canonical import canonical_json
from schemas.decision import Decision
from schemas.source import Source
from trading_llm.link import Link

ANSWER_S_MAX = 75.0  # a question's own time is 60 s; its outcome, EXPIRED at the latest, is there soon after


@dataclass(slots=True)
class Fed:
    """What a feed has sent, and what came back, by source."""

    sent: dict[Source, str] = field(default_factory=dict)  # the record of each question, and its symbol
    latency_ms: dict[Source, float] = field(default_factory=dict)


Shown = Callable[[Outcome, float], None]


class Feed:
    """Twelve bots that ask `contexts` questions in all, at most `rate` a second (0: as fast as they are answered)."""

    def __init__(self, link: Link, bots: Sequence[MomentumBot], contexts: int, rate: float) -> None:
        self._link, self._bots, self._contexts = link, bots, contexts
        self._turns = _Turns(rate)
        self.fed = Fed()

    async def run(self, shown: Shown) -> Fed:
        """Ask them all; `shown` is told each outcome with its latency in ms, from sent to read. Raises Fatal and Doubt."""
        async with asyncio.TaskGroup() as group:
            for bot, questions in zip(self._bots, _shares(self._contexts, len(self._bots)), strict=True):
                group.create_task(self._ask(bot, questions, shown))
        return self.fed

    async def _ask(self, bot: MomentumBot, questions: int, shown: Shown) -> None:
        events = (bot.question() for _ in count())
        for event in islice(events, questions):
            if event is None:  # no more candles
                return
            await self._turns.next()
            asked = take(canonical_json(event), Naming(None, _fresh_id()), _now_ms())
            await self._outcome(bot, asked, shown)

    async def _outcome(self, bot: MomentumBot, asked: Asked, shown: Shown) -> None:
        began = time.monotonic()
        src = await self._link.send(asked)
        self.fed.sent[src] = asked.ids[1]
        outcome = await self._link.outcome(src, ANSWER_S_MAX)
        if outcome is None:
            return
        latency_ms = (time.monotonic() - began) * 1000
        self.fed.latency_ms[src] = latency_ms
        if isinstance(outcome, Answered):
            bot.hear(Decision.from_bytes(outcome.value), _now_ms())
        shown(outcome, latency_ms)


class _Turns:
    """Gives turns at a steady rate; who comes late takes the next one at once, without making up for lost ones."""

    def __init__(self, rate: float) -> None:
        self._pause_s = 1 / rate if rate else 0.0
        self._next = 0.0

    async def next(self) -> None:
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._pause_s
        await asyncio.sleep(turn - now)


def _shares(total: int, parts: int) -> Iterator[int]:
    """`total` in so many parts that differ by at most one."""
    return (total // parts + (1 if part < total % parts else 0) for part in range(parts))


def _fresh_id() -> str:
    return uuid7(_now_ms(), secrets.randbits(RANDOM_BITS))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
