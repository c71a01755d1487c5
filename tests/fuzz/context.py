"""Fuzzes the context parser and all that a context goes through up to its prompt: `python -m tests.fuzz.context --seconds 600`.

Any bytes are a question, a refusal or a dead letter; a question has its features, its tagged record, and in every template a
prompt that contains it.
"""

from __future__ import annotations

import json
import sys
from functools import cache

from deciders.outcome import rejected
from schemas.catalogue import Template
from schemas.context import read_context
from schemas.dead_letter import dead_letter_output
from schemas.decision import Decision, decision_output
from schemas.question import Question, resolve
from schemas.record import Output, Record
from schemas.refusal import DeadLettered, Rejected
from schemas.route import Route
from schemas.size import HEADERS_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX, headers_bytes
from schemas.source import Source
from schemas.tagged import question_from_tag, tag_for, tagged_output
from tests.containment.containing import check_contained, prompt_of, templates
from tests.containment.corpus import corpus, default_policy
from tests.containment.markets import market
from tests.fuzz.campaign import Target, main

POLICY = default_policy()
LOGGED_MS = 1_800_000_000_000  # after every sample's candles
MARKETS, PAIRS = 4, 3
SHOWN = ("fingpt real", "qwen real", "qwen stand-in")  # the least room, the most, and none for the context


@cache
def shown() -> tuple[Template, ...]:
    found = templates()
    return tuple(found[name] for name in SHOWN)


def outcome(raw: bytes) -> str:
    """What these bytes become. AssertionError, or whatever the product raises, is a finding."""
    came = Record(Source("contexts", 3, 17), None, raw, (), LOGGED_MS)
    try:
        question = resolve(read_context(came), came, POLICY)
    except DeadLettered as dead:
        _check_fits(dead_letter_output(came, came.source, dead.reason, dead.detail))
        return f"dead letter, {dead.reason}"
    except Rejected as refusal:
        decision = rejected(came, refusal, POLICY, LOGGED_MS)
        assert Decision.from_bytes(decision.to_bytes()) == decision and refusal.field and refusal.rule
        _check_fits(decision_output(came, came.source, decision))
        return "rejected"
    _check_question(question, came)
    return "question"


def _check_question(question: Question, came: Record) -> None:
    tag = tag_for(question, "qwen", Route(policy=POLICY.digest), LOGGED_MS)
    output = tagged_output(came, question, "qwen", tag)
    _check_fits(output)
    arrived = Record(Source(output.topic, 0, 0), output.key, output.value, output.headers, LOGGED_MS)
    assert question_from_tag(arrived) == (question, tag)
    for template in shown():
        check_contained(template, prompt_of(template, question, POLICY), question)


def _check_fits(output: Output) -> None:
    assert len(output.value) <= VALUE_BYTES_MAX and headers_bytes(output.headers) <= HEADERS_BYTES_MAX
    assert output.key is None or len(output.key) <= KEY_BYTES_MAX


def samples() -> list[bytes]:
    """Valid bodies: markets with candles, attacked ones, and the smallest."""
    bodies = [market(number).body for number in range(MARKETS)] + [each.attacked for each in corpus(PAIRS)]
    smallest = [{"bot_id": "b", "symbol": "BTC/USDT:USDT", "context": {"price": 45000, "volume": 1e6}}]
    envelope = {"context_id": "a", "ttl_ms": 1, "as_of": "2026-01-31T12:00:00.000Z", "horizon_s": 60, "schema_version": 1}
    return [json.dumps(body).encode() for body in [*bodies, *smallest, {**smallest[0], **envelope}]]


TARGET = Target("context", samples(), outcome)

if __name__ == "__main__":
    sys.exit(main(TARGET, sys.argv[1:]))
