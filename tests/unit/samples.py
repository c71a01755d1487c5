"""Small true-to-life messages for tests: a bot's body, the record it lies in, the question it asks."""

from __future__ import annotations

import json
from typing import Any

from schemas.context import read_context
from schemas.headers import ORIGIN, RUN_ID
from schemas.policy import Policy
from schemas.question import Question, resolve
from schemas.record import Headers, Record
from schemas.source import Source

LOGGED_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z
FOUNDING = {
    "context": {"price": 45000, "volume": 1000000},
    "bot_id": "momentum_bot",
    "symbol": "BTCUSDT",
    "risk_limits": {"max_position_pct": 0.02},
}
CATALOGUE = ("deepseek", "fingpt", "phi3", "qwen")

POLICY_TEXT = """
default = "deepseek"

[[rules]]
name = "position_and_volume"
when = ["has_position", "high_volume"]
model = "fingpt"

[[rules]]
name = "volatility"
when = ["volatility_high"]
model = "qwen"

[[rules]]
name = "sentiment"
when = ["sentiment_clear"]
model = "phi3"

[fallback]
deepseek = ["qwen", "phi3"]
fingpt = ["qwen", "deepseek"]
"""


def policy(extra: str = "") -> Policy:
    """The founding document's rules with one chain that differs from the default's."""
    return Policy.from_toml(POLICY_TEXT + extra)


def body(**fields: Any) -> dict[str, Any]:
    """The founding document's body with these fields put over it."""
    return {**FOUNDING, **fields}


def record(value: object, *, key: bytes | None = None, headers: Headers = (), topic: str = "contexts") -> Record:
    """This value, as bytes or as JSON, at partition 3, offset 17."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(Source(topic, 3, 17), key, raw, headers, LOGGED_MS)


def replayed(value: object, origin: str = "contexts/1/5@1600000000000", run_id: str = "run-1") -> Record:
    """A record of `replay.contexts` whose original lies elsewhere."""
    return record(value, topic="replay.contexts", headers=((RUN_ID, run_id.encode()), (ORIGIN, origin.encode())))


def question(context: dict[str, Any] | None = None, **fields: Any) -> Question:
    """The question that such a body asks under the test policy."""
    if context is not None:
        fields["context"] = context
    came = record(body(**fields))
    return resolve(read_context(came), came, policy())


def candles(closes: list[float], volumes: list[float] | None = None, interval_ms: int = 60_000) -> list[list[float]]:
    """Closed bars up to the log time, oldest first."""
    count = len(closes)
    own = volumes or [1.0] * count
    first_ms = LOGGED_MS - count * interval_ms
    return [[first_ms + n * interval_ms, c, c, c, c, v] for n, (c, v) in enumerate(zip(closes, own, strict=True))]
