"""Contexts to measure with: about 5 KB each, 30 real candles in each, none like another."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from deploy.local.kafka_node import REPOSITORY

CANDLES = REPOSITORY / "examples" / "market-data" / "bybit-BTCUSDT-1m-20221213.csv"
CANDLES_A_CONTEXT = 30
KEYS = 96  # so many bots; enough that every partition of `contexts` has some
SIZE_BYTES = 5_000
TTL_MS = 3_600_000  # none may expire in a backlog
NUMBER = re.compile(rb'"context_id": ?"n(\d+)"')
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Message:
    """One context on its way: `number` comes back in the decision."""

    number: int
    key: bytes
    value: bytes


def number_in(value: bytes) -> int | None:
    """The number of the context that this value is, or answers; None where it has none."""
    found = NUMBER.search(value)
    return None if found is None else int(found[1])


def messages(first: int, count: int) -> Iterator[Message]:
    """So many contexts, numbered from `first`: a third holds a position, and every rule of the policy has its share."""
    rows = candle_rows()
    for number in range(first, first + count):
        drawn = random.Random(number)
        body = _body(number, rows, drawn)
        key = f"{body['bot_id']}:{body['symbol']}".encode()
        yield Message(number, key, json.dumps(body).encode())


@cache
def candle_rows() -> list[Row]:
    """Every candle of the file, the oldest first."""
    with CANDLES.open(newline="", encoding="utf-8") as file:
        return [{name: float(text) for name, text in zip("tohlcv", row, strict=True)} for row in list(csv.reader(file))[1:]]


def _body(number: int, rows: list[Row], drawn: random.Random) -> dict[str, Any]:
    start, key = drawn.randrange(len(rows) - CANDLES_A_CONTEXT), number % KEYS
    candles = [{**row, "t": int(row["t"])} for row in rows[start : start + CANDLES_A_CONTEXT]]
    context: dict[str, Any] = {
        "price": candles[-1]["c"],
        "interval": "1m",
        "candles": candles,
        "volatility": round(drawn.uniform(0.2, 1.1), 4),
        "volume_ratio": round(drawn.uniform(0.5, 2.5), 4),
        "sentiment": round(drawn.uniform(-1, 1), 4),
        "indicators": {f"ema_{each}": round(drawn.uniform(16_000, 18_000), 2) for each in range(5, 25)},
    }
    if drawn.random() < 1 / 3:
        context["position"] = {"size": 0.25, "entry_price": candles[0]["c"]}
    body = {"context_id": f"n{number}", "bot_id": f"bot{key}", "symbol": "BTCUSDT", "ttl_ms": TTL_MS, "context": context}
    context["note"] = "n" * max(0, SIZE_BYTES - len(json.dumps(body)))
    return body
