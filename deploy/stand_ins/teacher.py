"""The rule each stand-in is taught: a linear score of the summary's words, and noise of a known size.

The rules differ so that it matters which model is asked. None of them is known to earn anything.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deciders.summary import MOVE_WORDS, SENTIMENT_WORDS, Field

LABELS = ("BUY", "SELL", "HOLD", "CLOSE")
LEVELS = {word: level - 2.0 for words in (MOVE_WORDS, SENTIMENT_WORDS) for level, word in enumerate(words)}
ACT_FROM = 0.5  # score from which a move is acted on; words' levels go from -2 to 2
CLOSE_FROM = 1.1  # score against a position from which all of it goes, not a part
ADD_FROM = 0.9  # score from which a position is added to
IMPOSSIBLE = -7.0  # logit of what makes no sense, so that its probability is small and not zero
VERBS = {"BUY": "buy", "SELL": "sell", "HOLD": "hold", "CLOSE": "close"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One model's rule: the weight of each field (their sizes sum to 1), and how sharply it decides."""

    name: str
    weights: Mapping[str, float]
    sharpness: float

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.weights)


RULES = {
    rule.name: rule
    for rule in (
        Rule("deepseek", {"trend": 0.65, "swing": 0.35}, 6.5),
        Rule("qwen", {"swing": 0.65, "step": 0.35}, 6.0),
        Rule("fingpt", {"trend": 0.65, "sentiment": 0.35}, 6.0),
        Rule("phi3", {"sentiment": -0.75, "swing": -0.25}, 6.0),
    )
}


def words_of(summary: Sequence[Field]) -> dict[str, str]:
    return {field.name: field.word for field in summary}


def score(rule: Rule, words: Mapping[str, str]) -> float:
    """The rule's opinion, -2 (down) to 2 (up); a field that is not known counts as nothing."""
    return math.fsum(weight * LEVELS.get(words[name], 0.0) for name, weight in rule.weights.items())


def probabilities(rule: Rule, words: Mapping[str, str]) -> dict[str, float]:
    """The true probability of each action: a softmax over how far the score is past what each action asks for."""
    logits = _logits(score(rule, words), words)
    scaled = {label: rule.sharpness * logit if logit > IMPOSSIBLE else logit for label, logit in logits.items()}
    top = max(scaled.values())
    weights = {label: math.exp(value - top) for label, value in scaled.items()}
    total = math.fsum(weights.values())
    return {label: weight / total for label, weight in weights.items()}


def _logits(opinion: float, words: Mapping[str, str]) -> dict[str, float]:
    up, down = opinion - ACT_FROM, -opinion - ACT_FROM
    position = words["position"]
    if position == "long":  # a part goes on a mild sign against it, all on a strong one
        every = down + (-opinion - CLOSE_FROM)
        return {"BUY": opinion - ADD_FROM, "SELL": down, "HOLD": 0.0, "CLOSE": every}
    if position == "short":
        every = up + (opinion - CLOSE_FROM)
        return {"BUY": up, "SELL": -opinion - ADD_FROM, "HOLD": 0.0, "CLOSE": every}
    sell = down if words["market"] == "perp" else IMPOSSIBLE  # spot without a position has nothing to sell
    return {"BUY": up, "SELL": sell, "HOLD": 0.0, "CLOSE": IMPOSSIBLE}


def answer(rule: Rule, words: Mapping[str, str], action: str) -> str:
    """The whole answer the rule gives once its action is known."""
    sizes = _sizes(score(rule, words), words, action)
    first, second = rule.fields[0], "position" if words["position"] in ("long", "short") else rule.fields[1]
    why = f"{first} is {words[first]} and {second} is {words[second]}, so {VERBS[action]}"
    return json.dumps({"action": action, **sizes, "rationale": why}, separators=(",", ":"))


def _sizes(opinion: float, words: Mapping[str, str], action: str) -> dict[str, int]:
    if action in ("HOLD", "CLOSE"):
        return {"size_percent": 0, "stop_percent": 0, "target_percent": 0}
    wild = words["volatility"] == "high"
    return {
        "size_percent": 2 if abs(opinion) >= CLOSE_FROM else 1,
        "stop_percent": 2 if wild else 1,
        "target_percent": 5 if wild else 2,
    }


def draw(chances: Mapping[str, float], chance: random.Random) -> str:
    """One action, by its probability."""
    return chance.choices(list(chances), weights=list(chances.values()))[0]
