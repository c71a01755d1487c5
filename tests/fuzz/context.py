"""Fuzzes the context parser and all that a context goes through up to its prompt: `python -m tests.fuzz.context --seconds 600`.

Any bytes are judged by the router's own code to one output that fits: a dead letter, a decision, or a tagged record from which a
worker reads a question, and for which every template has a prompt that contains it.
"""

from __future__ import annotations

import json
import sys
from functools import cache

from deciders.dedupe import Dedupe
from deciders.features import Features
from deciders.fleet import Fleet
from deciders.judge import World, judge
from deciders.routing import Chosen, NoModel, choose_model
from schemas.catalogue import Template
from schemas.decision import Decision
from schemas.headers import REASON, header_text
from schemas.policy import Policy
from schemas.question import Question
from schemas.record import Output, Record
from schemas.size import HEADERS_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX, headers_bytes
from schemas.source import Source
from schemas.tagged import question_from_tag
from tests.containment.containing import check_contained, prompt_of, templates
from tests.containment.corpus import corpus, default_policy
from tests.containment.markets import market
from tests.fuzz.campaign import Target, main

POLICY = default_policy()
MODELS = ("deepseek", "fingpt", "phi3", "qwen")
LOGGED_MS = 1_800_000_000_000  # after every sample's candles
MARKETS, PAIRS = 4, 3
SHOWN = ("fingpt real", "qwen real", "qwen stand-in")  # the least room, the most, and none for the context


@cache
def shown() -> tuple[Template, ...]:
    found = templates()
    return tuple(found[name] for name in SHOWN)


def _choose(question: Question, features: Features, policy: Policy, fleet: Fleet) -> Chosen | NoModel:
    return choose_model(question, features, policy, fleet, MODELS)


WORLD = World(POLICY, Fleet(running=MODELS), _choose, lambda question: None)


def outcome(raw: bytes) -> str:
    """What these bytes become. AssertionError, or whatever the product raises, is a finding."""
    came = Record(Source("contexts", 3, 17), None, raw, (), LOGGED_MS)
    (output,) = judge(came, Dedupe(10), WORLD, LOGGED_MS).outputs
    _check_fits(output)
    if output.topic == "contexts.dlq":
        return f"dead letter, {header_text(output.headers, REASON)}"
    if output.topic == "decisions":
        decision = Decision.from_bytes(output.value)
        assert not decision.acts
        assert decision.status != "REJECTED" or (decision.reason and not decision.reason.startswith(": "))
        return str(decision.status)
    _check_asked(output)
    return f"question, {output.topic}"


def _check_asked(output: Output) -> None:
    question, _ = question_from_tag(Record(Source(output.topic, 0, 0), output.key, output.value, output.headers, LOGGED_MS))
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
