"""What a process says of itself: metrics, and one event a line. A context's text is never among them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from backbone.repeats import Repeats
from schemas.canonical import parse_rfc3339
from schemas.decision import Decision
from schemas.headers import REASON, header_text
from schemas.result import Result
from schemas.topic import is_replay

log = logging.getLogger("trading_llm")

RECORDS = Counter("trading_llm_records", "Records that were given their outcome or next hop.", ["input", "output"])
TRANSACTION_S = Histogram(
    "trading_llm_transaction_seconds", "From begin to the end of a transaction.", ["input"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)  # fmt: skip
ABORTED = Counter("trading_llm_transactions_aborted", "Transactions given up because an output had become late or halted.")
LANES_LOST = Counter("trading_llm_lanes_lost", "Lanes thrown away and claimed again.", ["why"])
LANES = Gauge("trading_llm_lanes", "Lanes that are claimed now.", ["input"])
DECISIONS = Counter("trading_llm_decisions", "Live decisions written.", ["model", "rule", "status", "action"])
DEAD_LETTERS = Counter("trading_llm_dead_letters", "Live records nobody can decide, by reason.", ["reason"])
CONFIDENCE = Histogram(
    "trading_llm_confidence", "Probability of the proposed action.", ["model"],
    buckets=(0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
)  # fmt: skip
ANSWER_S = Histogram(
    "trading_llm_answer_seconds", "From handing a live question to the engine to its answer.", ["model"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)  # fmt: skip
LATENCY_S = Histogram(
    "trading_llm_latency_seconds", "From the context's log time to its decision.", ["model"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)  # fmt: skip
IN_FLIGHT = Gauge("trading_llm_in_flight", "Questions the engine has now.", ["model"])
DEPTH = Gauge("trading_llm_depth", "Live questions that the engine may have at once, as measured.", ["model"])
NOT_ASKED = Counter("trading_llm_not_asked", "Questions that had less time left than an answer takes.", ["model"])
MODEL_STATE = Gauge("trading_llm_model_state", "1 for the state that this router sees a model in.", ["model", "state"])
MODEL_CHANGES = Counter("trading_llm_model_state_changes", "Changes of a model's state, by the new one.", ["model", "state"])
RESCUED = Counter("trading_llm_rescued", "Contexts taken over from a model that died, and what they came to.", ["model", "to"])
MISPLACED_KEYS = Counter("trading_llm_misplaced_keys", "Records whose key belongs in another partition of contexts.")


def configure(level: str = "INFO") -> None:
    """Log to standard error, a line an event; the client library's chatter only from warnings up, and not again and again."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s.%(msecs)03d %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    for noisy in ("aiokafka", "faststream", "uvicorn", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats("aiokafka"))


def event(name: str, **facts: object) -> None:
    """One event, one line: `lane.claimed topic=… partition=3`."""
    log.info("%s %s", name, " ".join(f"{key}={value}" for key, value in facts.items()))


def has_progressed() -> bool:
    """Whether this process has written anything yet."""
    return bool(_written)


_written: set[str] = set()


def committed(source: str, results: Sequence[Result], seconds: float) -> None:
    """Count what a transaction wrote. Of replays only how much: what they came to is no answer to anybody's question of today."""
    _written.add(source)
    TRANSACTION_S.labels(source).observe(seconds)
    live = not is_replay(source)
    for result in results:
        for output in result.outputs:
            RECORDS.labels(source, output.topic).inc()
            if live and (reason := header_text(output.headers, REASON)) is not None:
                DEAD_LETTERS.labels(reason).inc()
        if live and result.decision is not None:
            _decided(result.decision)


def _decided(decision: Decision) -> None:
    """Count one decision that was written, under the model that answered, or `none`."""
    model = decision.model.name if decision.model is not None else "none"
    DECISIONS.labels(model, decision.route.rule or "none", decision.status, decision.action).inc()
    if decision.confidence is not None:
        CONFIDENCE.labels(model).observe(decision.confidence)
    if decision.timings_ms.total is not None:
        written_ms = max(0, time.time() * 1000 - parse_rfc3339(decision.decided_at))
        LATENCY_S.labels(model).observe((decision.timings_ms.total + written_ms) / 1000)
