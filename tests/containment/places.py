"""Where a bot, or whoever it quotes, can put text of its own choice into a context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.containment.markets import Body

Put = Callable[[Body, str], None]
UNSHOWN: Final = frozenset({"experiment", "context id"})  # no model is shown these
NAME_CHARACTERS_MAX: Final = 128


def _news_text(body: Body, text: str) -> None:
    body["context"]["news"][-1]["text"] = text


def _headline_and_body(body: Body, text: str) -> None:
    body["context"]["news"][0] |= {"headline": text[:80], "text": text}


def _news_source(body: Body, text: str) -> None:
    body["context"]["news"][-1]["source"] = text


def _free_value(body: Body, text: str) -> None:
    body["context"]["analyst_note"] = text


def _free_key(body: Body, text: str) -> None:
    body["context"][text] = 1


def _posing_key(body: Body, text: str) -> None:
    body["context"] |= {"price\u200b": text, "ｓｅｎｔｉｍｅｎｔ": 1.0, "news\u2060": [text]}


def _deep(body: Body, text: str) -> None:
    body["context"]["signals"] = {"desk": [{"notes": [text, {text: text}]}]}


def _indicator_name(body: Body, text: str) -> None:
    body["context"]["indicators"] = {text: 1.0}


def _position_note(body: Body, text: str) -> None:
    body["context"]["position"]["note"] = text


def _account_key(body: Body, text: str) -> None:
    body["context"]["account"][text] = text


def _experiment(body: Body, text: str) -> None:
    body["experiment"] = text[:NAME_CHARACTERS_MAX]


def _context_id(body: Body, text: str) -> None:
    body["context_id"] = text[:NAME_CHARACTERS_MAX]


def _symbol(body: Body, text: str) -> None:
    body["symbol"] = text


PLACES: Final[dict[str, Put]] = {
    "news text": _news_text,
    "headline and body": _headline_and_body,
    "news source": _news_source,
    "free value": _free_value,
    "free key": _free_key,
    "posing key": _posing_key,
    "deep": _deep,
    "indicator name": _indicator_name,
    "position note": _position_note,
    "account key": _account_key,
    "experiment": _experiment,
    "context id": _context_id,
    "symbol": _symbol,
}


def strings_of(value: Any) -> list[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *strings_of(item))]
    return [text for item in value for text in strings_of(item)] if isinstance(value, list) else []
