"""What a model's raw answer says, checked whole: an answer that breaks any rule is bad output, never repaired."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deciders.quoting import clean_text
from schemas.action import Action
from schemas.canonical import canonical_json, digest
from schemas.decision import Probs, Proposed
from schemas.size import GENERATION_BYTES_MAX, clip

AnswerMode = Literal["full", "label"]
BadOutcome = Literal["not_finite", "cut_off", "wrong_count", "wrong_symbol", "too_long", "raised"]

LABELS: Final = tuple(action.value for action in Action)
RATIONALE_CHARACTERS_MAX: Final = 280
RATIONALE_WRITTEN_MAX: Final = 200  # characters the grammar lets a model write: less than a decision holds
# Closed lists, so that the grammar ends and no answer is absurd. Whole percents are one token in most vocabularies.
PERCENTS: Final[Mapping[str, tuple[float, ...]]] = {
    "size_percent": (0, 0.5, 1, 2, 5, 10, 20),
    "stop_percent": (0, 0.5, 1, 2, 3, 5, 10),
    "target_percent": (0, 0.5, 1, 2, 3, 5, 10, 20),
}
# Every prompt ends with this, as token ids of its own, so that the first token generated is the action's, in every
# vocabulary, and its log-probabilities are those of the labels.
ANSWER_HEAD: Final = '{"action":"'
ANSWER_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "action": {"enum": list(LABELS)},
        **{name: {"enum": list(allowed)} for name, allowed in PERCENTS.items()},
        "rationale": {"type": "string", "maxLength": RATIONALE_WRITTEN_MAX, "pattern": r'^[^"\\\x00-\x1f\x7f]*$'},
    },
    "required": ["action", *PERCENTS, "rationale"],
    "additionalProperties": False,
}


def _one_of(values: Iterable[str]) -> str:
    return "(" + "|".join(map(re.escape, values)) + ")"


def _percents(name: str) -> str:
    return f',"{name}":' + _one_of(f"{value:g}" for value in PERCENTS[name])


# What follows the head in a full answer: the schema above, its keys in order, without white space.
ANSWER_TAIL: Final = "".join(
    (
        _one_of(LABELS),
        '"',
        *map(_percents, PERCENTS),
        rf',"rationale":"[^"\\\x00-\x1f\x7f]{{0,{RATIONALE_WRITTEN_MAX}}}"\}}',
    )
)
SCHEMA_DIGEST: Final[Mapping[AnswerMode, str]] = {
    "full": digest(canonical_json({"schema": ANSWER_SCHEMA, "head": ANSWER_HEAD, "tail": ANSWER_TAIL})),
    "label": digest(canonical_json({"head": ANSWER_HEAD, "labels": LABELS})),
}


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What an engine gave back, unjudged. `text` is the whole answer, in `label` mode the bare label.

    `label_logprobs` are the natural logarithms of the labels' probabilities, up to a constant; of an answer that is read from a
    record, `probs` is what they came to. `finished` is False where the answer was cut off by its length.
    """

    text: str
    label_logprobs: Mapping[str, float] | None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    finished: bool = True
    probs: Probs | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is read against: which symbol, at what price, in which mode, and the policy's default size."""

    symbol: str
    price_ref: float | None
    mode: AnswerMode
    default_size_pct: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid answer. `confidence` is the probability of `proposed.action` over all labels."""

    proposed: Proposed
    probs: Probs
    confidence: float
    rationale: str


@dataclass(frozen=True, slots=True)
class BadAnswer:
    """An answer that is none: the attempt's outcome, without `failed:`, and a sentence for people."""

    outcome: BadOutcome
    why: str


class _Bad(Exception):
    def __init__(self, outcome: BadOutcome, why: str) -> None:
        self.bad = BadAnswer(outcome, why)


def read_answer(raw: RawAnswer, asked: Asked) -> Answer | BadAnswer:
    """The answer in a raw text, or why it is none. Text that is not exactly the agreed JSON is never mended."""
    try:
        _check_length(raw)
        probs = raw.probs or label_probs(raw.label_logprobs)
        return _label(raw, asked, probs) if asked.mode == "label" else _full(raw, asked, probs)
    except _Bad as error:
        return error.bad


def label_probs(logprobs: Mapping[str, float] | None) -> Probs:
    """The softmax of the labels' log-probabilities: what the model thinks, over exactly the four labels."""
    if logprobs is None or set(logprobs) != set(LABELS):
        raise _Bad("wrong_count", f"label probabilities must be of exactly {', '.join(LABELS)}")
    if not all(math.isfinite(value) for value in logprobs.values()):
        raise _Bad("not_finite", "a label's log-probability is not a finite number")
    top = max(logprobs.values())
    weights = {label: math.exp(logprobs[label] - top) for label in LABELS}
    total = math.fsum(weights.values())
    return Probs(**{label: weight / total for label, weight in weights.items()})


def _check_length(raw: RawAnswer) -> None:
    if len(raw.text.encode("utf-8", "replace")) > GENERATION_BYTES_MAX:
        raise _Bad("too_long", f"the answer is longer than {GENERATION_BYTES_MAX} bytes")
    if not raw.finished:
        raise _Bad("cut_off", f"the answer was cut off after {raw.completion_tokens} tokens")


def _label(raw: RawAnswer, asked: Asked, probs: Probs) -> Answer:
    action = _action(raw.text)
    acts = action in (Action.BUY, Action.SELL)
    proposed = Proposed(action=action, size_pct=asked.default_size_pct if acts else 0.0)
    return Answer(proposed, probs, probs.of(action), "")


def _full(raw: RawAnswer, asked: Asked, probs: Probs) -> Answer:
    said = _parsed(raw.text)
    if said.pop("symbol", asked.symbol) != asked.symbol:  # none is asked for; one that is given must be the right one
        raise _Bad("wrong_symbol", "the answer is about another symbol")
    if set(said) != set(ANSWER_SCHEMA["required"]):
        raise _Bad("wrong_count", f"the answer must have exactly the keys {', '.join(ANSWER_SCHEMA['required'])}")
    action = _action(said["action"])
    size, stop, target = (_percent(name, said[name]) / 100 for name in PERCENTS)
    proposed = _proposed(action, (size, stop, target), asked)
    return Answer(proposed, probs, probs.of(action), _rationale(said["rationale"]))


def _parsed(text: str) -> dict[str, Any]:
    try:
        said = _JSON.decode(text)
    except (ValueError, RecursionError):
        raise _Bad("raised", "the answer is not valid JSON") from None
    if not isinstance(said, dict):
        raise _Bad("wrong_count", "the answer must be one JSON object")
    return said


def _not_finite(name: str) -> float:
    raise _Bad("not_finite", f"the answer holds {name}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Bad("wrong_count", "the answer names a key twice")
    return dict(pairs)


# Made once: `json.loads` would make another for every answer.
_JSON: Final = json.JSONDecoder(parse_constant=_not_finite, object_pairs_hook=_once)


def _action(label: object) -> Action:
    if not isinstance(label, str) or label not in LABELS:
        raise _Bad("raised", f"action must be one of {', '.join(LABELS)}")
    return Action(label)


def _percent(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad("raised", f"{name} must be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _Bad("not_finite", f"{name} is not a finite number")
    if value not in PERCENTS[name]:
        raise _Bad("raised", f"{name} must be one of {', '.join(f'{one:g}' for one in PERCENTS[name])}")
    return float(value)


def _proposed(action: Action, fractions: tuple[float, float, float], asked: Asked) -> Proposed:
    """The proposal, its distances turned into prices: the stop against the action, the target along it; 0 is none."""
    size, stop, target = fractions
    if action not in (Action.BUY, Action.SELL):
        return Proposed(action=action, size_pct=0.0)
    along = 1 if action is Action.BUY else -1
    return Proposed(
        action=action,
        size_pct=size,
        stop_loss=_level(asked.price_ref, -along * stop),
        take_profit=_level(asked.price_ref, along * target),
    )


def _level(price: float | None, distance: float) -> float | None:
    if price is None or not distance:
        return None
    level = float(f"{price * (1 + distance):.10g}")  # ten digits: binary fractions' tails are no price
    return level if math.isfinite(level) and level > 0 else None


def _rationale(text: object) -> str:
    if not isinstance(text, str):
        raise _Bad("raised", "rationale must be a string")
    if len(text) > RATIONALE_CHARACTERS_MAX:
        raise _Bad("too_long", f"rationale is longer than {RATIONALE_CHARACTERS_MAX} characters")
    return clip(clean_text(text).strip(), RATIONALE_CHARACTERS_MAX)
