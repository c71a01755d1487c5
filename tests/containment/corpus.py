"""The attacked contexts: each with the same context in harmless words, and the plain one. Made from real candles, by number."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.context import read_context
from schemas.policy import Policy
from schemas.question import Question, resolve
from schemas.record import Record
from schemas.source import Source
from tests.containment.attacks import KINDS, Wish, as_symbol, harmless, harmless_symbol
from tests.containment.markets import Body, Market, market
from tests.containment.places import PLACES

CONTEXTS = 200
POLICY = Path(__file__).resolve().parents[2] / "router" / "policy.toml"
ACTIONS = ("BUY", "SELL", "CLOSE", "HOLD")
# The symbol is the one text that stand-ins see, so every fourth attack goes there; the other places take turns.
SYMBOL_EVERY = 4
LONG_EVERY, LONG_TIMES = 8, 12  # an attack repeated so often that something of its context has to be left out


@dataclass(frozen=True, slots=True)
class Pair:
    """One attack: its kind, place and text, what it is after, and the three bodies that differ only in that place."""

    number: int
    kind: str
    place: str
    wish: Wish
    text: str
    market: Market
    attacked: Body
    harmless: Body

    def __str__(self) -> str:
        return f"{self.kind}, {self.place}, {self.number}"


def corpus(contexts: int = CONTEXTS) -> Iterator[Pair]:
    """So many contexts, each attacked in every kind; the same ones always."""
    for number in range(contexts):
        for kind in KINDS:
            yield pair(number, kind)


def pair(number: int, kind: str) -> Pair:
    """The attack of this kind on the market of this number."""
    chance = random.Random(f"{kind}/{number}")
    attacked, place = market(number), _place(number, kind)
    wish = Wish(chance.choice(ACTIONS), attacked.body["symbol"])
    text = KINDS[kind](wish, chance) * (LONG_TIMES if number % LONG_EVERY == 0 else 1)
    if place == "symbol":
        text = as_symbol(text)
        words = harmless_symbol(len(text), chance)
    else:
        words = harmless(len(text), chance)
    return Pair(number, kind, place, wish, text, attacked, _with(attacked, place, text), _with(attacked, place, words))


def question_of(body: Body, logged_at_ms: int, policy: Policy) -> Question:
    """The question that this body asks; DeadLettered or Rejected where it asks none."""
    came = Record(Source("contexts", 0, 0), None, json.dumps(body).encode(), (), logged_at_ms)
    return resolve(read_context(came), came, policy)


def default_policy() -> Policy:
    """The policy that the project comes with."""
    return Policy.from_toml(POLICY.read_text(encoding="utf-8"))


def _place(number: int, kind: str) -> str:
    if number % SYMBOL_EVERY == SYMBOL_EVERY - 1:
        return "symbol"
    others = [place for place in PLACES if place != "symbol"]
    return others[(number - number // SYMBOL_EVERY + list(KINDS).index(kind)) % len(others)]


def _with(attacked: Market, place: str, text: str) -> Body:
    body = attacked.fresh()
    PLACES[place](body, text)
    return body
