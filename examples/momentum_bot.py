"""A bot to be read: follows momentum on one market, asks when a bar stands out, and trades on paper what was decided.

It places no orders. `python -m examples.momentum_bot` asks for one bot's next few bars, over HTTP, and shows what it does.
"""

from __future__ import annotations

import asyncio
import csv
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from talipp.indicators import RSI

from schemas.canonical import parse_rfc3339, rfc3339
from schemas.decision import Action, Decision, Status

MARKET_DATA = Path(__file__).resolve().parent / "market-data"
BAR_MS = 60_000
YEAR_MS = 365 * 86_400_000
SENT_BARS = 30  # bars a context carries
RECENT_BARS = 20  # bars that count as usual, as in the policy's `recent_bars`
RSI_BARS = 7

# What stands out, as in router/policy.toml: high_volume_ratio and clear_sentiment (its high_volatility is 0.8). A bar that
# does not is asked about after five silent ones. On these bots' windows that gives each of the four rules a sixth of the
# contexts or more, as long as a third of them have a position: fingpt 17 %, qwen 29 %, phi3 25 %, deepseek 30 % then.
HEAVY_RATIO = 1.5
CLEAR_SENTIMENT = 0.6
SILENT_BARS_MAX = 5


class Bar(NamedTuple):
    """One closed minute; `t` is its start in epoch ms."""

    t: int
    o: float
    h: float
    l: float  # noqa: E741 - the wire's name
    c: float
    v: float


def read_bars(name: str) -> list[Bar]:
    """The candles of a file in `examples/market-data`, oldest first."""
    with (MARKET_DATA / name).open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        return [Bar(int(t), *(float(number) for number in numbers)) for t, *numbers in rows]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the bot makes of the last bars. `sentiment` is a proxy: the RSI of the closes, from -1 to 1. Nobody was asked."""

    volume_ratio: float
    volatility: float
    sentiment: float

    @property
    def stands_out(self) -> bool:
        """Whether a bar like this is worth a question by itself."""
        return self.volume_ratio >= HEAVY_RATIO or abs(self.sentiment) >= CLEAR_SENTIMENT


def look(bars: Sequence[Bar]) -> Sight:
    """The last bar beside the 20 before it: its volume, the volatility a year, and the RSI of the last 30 closes."""
    recent = bars[-RECENT_BARS - 1 :]
    usual = statistics.fmean(bar.v for bar in recent[:-1])
    returns = [math.log(b.c / a.c) for a, b in pairwise(recent) if b.t - a.t == BAR_MS]
    volatility = statistics.stdev(returns) * math.sqrt(YEAR_MS / BAR_MS) if len(returns) > 1 else 0.0
    closes = [bar.c for bar in bars[-SENT_BARS:]]
    rsi = RSI(RSI_BARS, closes)[-1] if len(set(closes[-RSI_BARS - 1 :])) > 1 else None  # of no move at all it says 100
    return Sight(
        volume_ratio=round(bars[-1].v / usual, 4) if usual else 0.0,
        volatility=round(volatility, 4),
        sentiment=round((rsi - 50) / 50, 4) if rsi is not None else 0.0,
    )


class MomentumBot:
    """One bot on one market: walks its bars, asks, and keeps a paper position from what was decided."""

    def __init__(self, bot_id: str, symbol: str, bars: Sequence[Bar], first: int) -> None:
        self.bot_id, self.symbol = bot_id, symbol
        self.cash, self.position, self.entry_price = 10_000.0, 0.0, 0.0
        self._bars = bars
        self._next = max(first, SENT_BARS)
        self._acted: set[str] = set()

    def buy(self, fraction: float) -> None:
        """Begin with a position: this fraction of the cash, at the last close."""
        price = self._bars[self._next - 1].c
        self._trade(fraction * self.cash / price, price)

    def question(self) -> dict[str, Any] | None:
        """The next context event: of the next bar that stands out, or the fifth silent one. None after the last bar."""
        for silent in range(1, SILENT_BARS_MAX + 1):
            if self._next >= len(self._bars):
                return None
            self._next += 1
            bars = self._bars[self._next - SENT_BARS : self._next]
            sight = look(self._bars[max(0, self._next - SENT_BARS) : self._next])
            if sight.stands_out or silent == SILENT_BARS_MAX:
                return self._event(bars, sight)
        return None

    def _event(self, bars: Sequence[Bar], sight: Sight) -> dict[str, Any]:
        price = bars[-1].c
        return {
            "bot_id": self.bot_id,
            "symbol": self.symbol,
            "as_of": rfc3339(bars[-1].t + BAR_MS),
            "context": {
                "price": price,
                "volume": bars[-1].v,
                "volume_ratio": sight.volume_ratio,
                "volatility": sight.volatility,
                "sentiment": sight.sentiment,
                "has_position": self.position > 0,
                "position": {"size": self.position, "entry_price": self.entry_price or None},
                "account": {"equity": round(self.cash + self.position * price, 2), "cash": round(self.cash, 2)},
                "interval": "1m",
                "candles": [list(bar) for bar in bars],
            },
        }

    def hear(self, decision: Decision, now_ms: int) -> bool:
        """Act on a decision: only if it is DECIDED, in time, and not acted on before. True where the position changed."""
        if (decision.bot_id, decision.symbol) != (self.bot_id, self.symbol) or decision.decision_id in self._acted:
            return False
        if decision.status is not Status.DECIDED or decision.valid_until is None or decision.price_ref is None:
            return False
        if now_ms > parse_rfc3339(decision.valid_until):
            return False
        self._acted.add(decision.decision_id)
        units = self._units(decision, decision.price_ref)
        self._trade(units, decision.price_ref)
        return units != 0

    def _units(self, decision: Decision, price: float) -> float:
        """How many to buy, or (negative) to sell. On spot nobody sells what he has not."""
        asked = decision.size_pct * (self.cash + self.position * price) / price
        if decision.action is Action.BUY:
            return min(asked, self.cash / price)
        if decision.action is Action.SELL:
            return -min(asked, self.position)
        return -self.position if decision.action is Action.CLOSE else 0.0

    def _trade(self, units: float, price: float) -> None:
        held = self.position + units
        if units > 0:
            self.entry_price = (self.position * self.entry_price + units * price) / held
        self.position = held if held * price > 0.01 else 0.0  # less than a cent is dust
        self.entry_price = self.entry_price if self.position else 0.0
        self.cash -= units * price


def bots() -> list[MomentumBot]:
    """Twelve bots: eight on a wild market (ETHUSD, 2018), four on a calm one (BTCUSDT, 2022), each from another hour on.

    Every other one begins with a position, so that the rule for positions has something to do from the first minute.
    """
    wild, calm = read_bars("coinbase-ETHUSD-1m-20180404-05.csv"), read_bars("bybit-BTCUSDT-1m-20221213.csv")
    made = [MomentumBot(f"momentum_bot-{n + 1}", "ETHUSD", wild, 30 + 287 * n) for n in range(8)]
    made += [MomentumBot(f"momentum_bot-{n + 9}", "BTCUSDT", calm, 30 + 325 * n) for n in range(4)]
    for bot in made[::2]:
        bot.buy(0.03)
    return made


async def main(questions: int = 5) -> None:
    """Let the first bot ask a few times, and show what came of it."""
    from trading_llm import Client

    bot = bots()[0]
    async with Client(over="http") as client:
        for _ in range(questions):
            if (event := bot.question()) is None:
                return
            decision = await client.decide(event)
            bot.hear(decision, int(time.time() * 1000))
            print(f"{event['as_of']} {decision.status} {decision.action} → position {bot.position:.4f} {bot.symbol}")


if __name__ == "__main__":
    asyncio.run(main())
