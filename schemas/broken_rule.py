"""Which rule of the contract a readable context breaks, as the path of a field and a sentence."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from schemas.canonical import canonical_json, rfc3339
from schemas.market import Candle
from schemas.size import CONTEXT_BYTES_MAX, CONTEXT_LEVELS_MAX, clip

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from schemas.context import ContextEvent

Flaw = tuple[str, str]

AHEAD_MS_MAX: Final = 5_000  # how far a bot's clock may run before the log's
NUMBER_MAX: Final = 1e308
FIELD_CHARACTERS_MAX: Final = 160

UNKNOWN_FIELD: Final = "is an unknown field"
_PLAIN: Final = re.compile(r"[\w.-]+")
_FINITE: Final = "must be a finite number, not NaN or infinity"
_RULES: Final = {
    "missing": "is required",
    "finite_number": _FINITE,
    "float_type": "must be a number",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "named_tuple_type": "must be {{t,o,h,l,c,v}} or [t,o,h,l,c,v]",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} of them",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "extra_forbidden": UNKNOWN_FIELD,
    "value_error": "{error}",
}
# Of these every value is typed, and so checked once already; they are most of what a context holds.
_CHECKED_BY_TYPE: Final = frozenset({"candles", "indicators"})
_HINTS: Final = {
    ("risk_limits.max_position_pct", "less_than_equal"): "must be at most 1: it is a fraction of equity, 0.02 is 2 %",
    ("ttl_ms", "less_than_equal"): "must be at most 3600000: one hour, in milliseconds",
}


class BrokenRule(Exception):
    """A field of a readable context breaks a rule."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


def validation_flaw(error: ValidationError) -> Flaw:
    """The first thing that validation found, in the contract's words."""
    return _flaw(error.errors(include_url=False, include_input=False)[0])


def validation_flaws(error: ValidationError) -> list[tuple[tuple[int | str, ...], Flaw]]:
    """Everything that validation found, each with the way to it from the top."""
    return [(each["loc"], _flaw(each)) for each in error.errors(include_url=False, include_input=False)]


def _flaw(found: ErrorDetails) -> Flaw:
    field, kind = field_path(found["loc"]), found["type"]
    if hint := _HINTS.get((field, kind)):
        return field, hint
    if rule := _RULES.get(kind):
        return field, rule.format(**found.get("ctx", {}))
    return field, clip(found["msg"], FIELD_CHARACTERS_MAX)


def content_flaw(context: dict[str, Any], value_bytes: int) -> Flaw | None:
    """What is wrong with the free-form object as a whole: its depth, a number that is none, its size."""
    if not _sound((value for name, value in context.items() if name not in _CHECKED_BY_TYPE), CONTEXT_LEVELS_MAX - 1):
        return _unsound(context, "context", CONTEXT_LEVELS_MAX)
    if value_bytes > CONTEXT_BYTES_MAX and (own := len(canonical_json(context))) > CONTEXT_BYTES_MAX:
        return "context", f"has {own} bytes as compact JSON; at most {CONTEXT_BYTES_MAX} are taken"
    return None


def time_flaw(event: ContextEvent, logged_at_ms: int) -> Flaw | None:
    """What contradicts itself or the clock, given when the log took the question."""
    as_of_ms = logged_at_ms if event.as_of is None else event.as_of
    if as_of_ms > logged_at_ms + AHEAD_MS_MAX:
        return "as_of", f"is more than {AHEAD_MS_MAX // 1000} s ahead of the log's {rfc3339(logged_at_ms)}"
    if event.ttl_ms is not None and event.expires_at is not None:
        return "expires_at", "must not stand beside ttl_ms: send one of them"
    if event.expires_at is not None and event.expires_at > logged_at_ms + 3_600_000:
        return "expires_at", f"must be at most one hour after the log's {rfc3339(logged_at_ms)}"
    market = event.context
    if market.position is not None and market.has_position not in (None, market.holds):
        return "context.has_position", "contradicts context.position"
    return _candle_flaw(event, as_of_ms) or _news_flaw(event, as_of_ms)


def _candle_flaw(event: ContextEvent, as_of_ms: int) -> Flaw | None:
    candles = event.context.candles
    if not candles:
        return None
    length_ms = event.context.interval_ms
    if length_ms is None:
        return "context.interval", "is required beside context.candles, such as 1m"
    for number in range(1, len(candles)):
        if candles[number].t <= candles[number - 1].t:
            return f"context.candles[{number}].t", "must be later than the one before: oldest first"
    if candles[-1].t + length_ms <= as_of_ms:
        return None
    number = next(n for n, candle in enumerate(candles) if candle.t + length_ms > as_of_ms)
    return f"context.candles[{number}]", f"closes after as_of {rfc3339(as_of_ms)}: only closed bars are taken"


def _news_flaw(event: ContextEvent, as_of_ms: int) -> Flaw | None:
    for number, item in enumerate(event.context.news):
        if item.published_at > as_of_ms:
            return f"context.news[{number}].published_at", f"is newer than as_of {rfc3339(as_of_ms)}"
    return None


def field_path(loc: tuple[int | str, ...]) -> str:
    """`context.candles[3].c`, also where the row came as a list."""
    path = ""
    for part in loc:
        if isinstance(part, str):
            path += f".{_shown(part)}" if path else _shown(part)
        elif path.endswith("]") and path.startswith("context.candles[") and part < len(Candle._fields):
            path += f".{Candle._fields[part]}"
        else:
            path += f"[{part}]"
    return clip(path, FIELD_CHARACTERS_MAX)


def _shown(key: str) -> str:
    """A key as a reader can find it: one that is no plain word stands in quotes, what cannot be seen in it escaped."""
    return clip(key if _PLAIN.fullmatch(key) else json.dumps(key), FIELD_CHARACTERS_MAX)


def _sound(values: Any, levels: int) -> bool:
    """Whether these values hold only real numbers and at most so many levels more."""
    for value in values:
        kind = type(value)
        if kind is float:
            if value - value != 0.0:  # NaN for NaN and for infinities
                return False
        elif kind is dict:
            if levels < 1 or not _sound(value.values(), levels - 1):
                return False
        elif kind is list:
            if levels < 1 or not _sound(value, levels - 1):
                return False
        elif kind is int and not -NUMBER_MAX < value < NUMBER_MAX:
            return False
    return True


def _unsound(value: Any, path: str, levels: int) -> Flaw | None:
    """The place of what `_sound` refused."""
    if isinstance(value, float | int):
        return None if _sound((value,), 0) else (clip(path, FIELD_CHARACTERS_MAX), _FINITE)
    if not isinstance(value, dict | list):
        return None
    if levels < 1:
        return clip(path, FIELD_CHARACTERS_MAX), f"is nested deeper than {CONTEXT_LEVELS_MAX} levels"
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in pairs:
        inner_path = f"{path}.{name}" if isinstance(value, dict) else f"{path}[{name}]"
        if flaw := _unsound(inner, inner_path, levels - 1):
            return flaw
    return None
