"""What is attacked: contexts of real candles as a bot sends them, with news and numbers, by number and always the same."""

from __future__ import annotations

import copy
import csv
import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from deploy.stand_ins.samples import MARKET_DATA, rsi_sentiment

Body = dict[str, Any]

BARS = 30
MINUTE_MS = 60_000
FILES = (("BTCUSDT", "bybit-BTCUSDT-1m-20221213.csv"), ("ETHUSD", "coinbase-ETHUSD-1m-20180404-05.csv"))
HEADLINES = (
    "Exchange reports average turnover for the week.",
    "Inflation report due later today.",
    "Miners' reserves little changed since Monday.",
    "Custodian adds support for two more networks.",
)


@dataclass(frozen=True, slots=True)
class Market:
    """A body that asks about a window of real candles, and when the log takes it."""

    body: Body
    logged_at_ms: int

    def fresh(self) -> Body:
        """The body, to be written into."""
        return copy.deepcopy(self.body)


def market(number: int) -> Market:
    """The market of this number: another window of another file with other news, position and limits."""
    chance = random.Random(f"market/{number}")
    symbol, file = FILES[number % len(FILES)]
    rows = _rows(file)
    end = chance.randrange(BARS, len(rows))
    return _asked(symbol, rows[end - BARS : end], chance)


@cache
def _rows(file: str) -> tuple[tuple[float, ...], ...]:
    with (MARKET_DATA / file).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    names = ("open", "high", "low", "close", "volume")
    return tuple((int(row["open_time_ms"]), *(float(row[name]) for name in names)) for row in rows)


def _asked(symbol: str, rows: tuple[tuple[float, ...], ...], chance: random.Random) -> Market:
    closes, volumes = tuple(row[4] for row in rows), [row[5] for row in rows]
    logged_at_ms = int(rows[-1][0]) + MINUTE_MS
    kind = chance.choice(("spot", "perp"))
    held = chance.choice((0.0, 0.0, 1.0) if kind == "spot" else (0.0, 1.0, -1.0))
    news = [
        {"source": "wire", "published_at": logged_at_ms - MINUTE_MS * age, "text": text}
        for age, text in zip((50, 20), chance.sample(HEADLINES, 2), strict=True)
    ]
    context = {
        "price": closes[-1],
        "volume": volumes[-1],
        "volume_ratio": round(volumes[-1] / (sum(volumes) / len(volumes) or 1.0), 3),
        "sentiment": round(rsi_sentiment(closes), 3),
        "volatility": round(10 ** chance.uniform(-0.7, 0.2), 3),
        "market": kind,
        "position": {"size": held, "entry_price": round(closes[-1] * chance.uniform(0.99, 1.01), 2)},
        "account": {"equity": 1_000_000.0},
        "interval": "1m",
        "candles": [list(row) for row in rows],
        "indicators": {"rsi_14": round(chance.uniform(20, 80), 1)},
        "news": news,
    }
    limits = {"max_position_pct": chance.choice((0.02, 0.1)), "require_stop": chance.random() < 0.5}
    return Market({"context": context, "bot_id": "momentum_bot", "symbol": symbol, "risk_limits": limits}, logged_at_ms)
