"""Fuzzes the answer parser and the limits behind it: `python -m tests.fuzz.answer --seconds 600`.

Any text that a model gives is a decision inside schema and limits, or a failure with a name.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Mapping
from itertools import product
from zlib import crc32

from deciders.answer import LABELS, PERCENTS, RawAnswer
from tests.containment.corpus import default_policy, question_of
from tests.containment.judging import check_inside, decision_of
from tests.containment.markets import market
from tests.fuzz.campaign import Target, main

POLICY = default_policy()
QUESTIONS = [question_of(market(number).body, market(number).logged_at_ms, POLICY) for number in range(16)]
STRANGE = (0.0, -0.1, -745.2, 1e308, -1e308, math.nan, math.inf, -math.inf)


def outcome(raw: bytes) -> str:
    """What this answer comes to; question, mode and probabilities are drawn from the bytes, so that an input says all."""
    chance = random.Random(crc32(raw))
    question, mode = chance.choice(QUESTIONS), "label" if chance.random() < 0.1 else "full"
    answer = RawAnswer(raw.decode("utf-8", "surrogateescape"), _logprobs(chance), finished=chance.random() < 0.95)
    decision = decision_of(question, POLICY, answer, "label" if mode == "label" else "full")
    check_inside(decision, question, POLICY)
    attempt = decision.route.attempts[-1].outcome
    return attempt if attempt.startswith("failed") else f"{decision.status} {decision.action}"


def _logprobs(chance: random.Random) -> Mapping[str, float] | None:
    """Mostly sure of one label, so that limits are reached; now and then what no engine should give."""
    if chance.random() < 0.9:
        sure = chance.choice(LABELS)
        return {label: 0.0 if label == sure else -6.0 for label in LABELS}
    return {label: chance.choice(STRANGE) for label in LABELS} if chance.random() < 0.9 else None


def samples() -> list[bytes]:
    """Valid answers of each action, with the smallest and the largest numbers, and bare labels."""
    ends = [(min(allowed), max(allowed)) for allowed in PERCENTS.values()]
    said = [
        {"action": action, **dict(zip(PERCENTS, numbers, strict=True)), "rationale": "trend is rising, so act"}
        for action in LABELS
        for numbers in product(*ends)
    ]
    symbol = {**said[0], "symbol": QUESTIONS[0].symbol}
    return [*(json.dumps(one, separators=(",", ":")).encode() for one in [*said, symbol]), *(label.encode() for label in LABELS)]


TARGET = Target("answer", samples(), outcome)

if __name__ == "__main__":
    sys.exit(main(TARGET, sys.argv[1:]))
