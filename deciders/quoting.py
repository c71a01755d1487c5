"""The context as quoted data: cleaned of what hides or commands, as canonical JSON, cut to a size in a fixed order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from itertools import count
from typing import Any, Final

from schemas.canonical import canonical_json
from schemas.market import MarketContext
from schemas.size import clip

# Controls, invisible and direction marks, surrogates, private and unassigned characters: a person would not see them.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES: Final = re.compile("\r\n|[\n\t\u1680]")  # the last one is the only space that the plain form keeps
# Letters, marks and signs that Unicode shows as nothing (Default_Ignorable_Code_Point, fillers, blanks): whole sentences
# can be written in variation selectors behind one letter. Taken away before the plain form too, lest they keep it from forming.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
# Written as JSON escapes, so that no quoted text can form a tokenizer's or a chat's own mark ("<|im_end|>", "[INST]") or a
# part of the fence's line: no run of five dashes is left. Outside its strings JSON has no such bracket and no two dashes.
_MARKS: Final = re.compile(r"[<>]|\[(?=[/A-Z])|-(?=-{4})")
_KNOWN_LAST: Final = ("indicators", "account", "position")  # of the known keys, these may go too, in this order
KEY_SHOWN_CHARACTERS_MAX: Final = 64

Cut = Callable[[dict[str, Any], int], str | None]


def quoted(context: MarketContext, characters_max: int) -> tuple[str, tuple[str, ...]]:
    """The context as one line of JSON of at most `characters_max` characters, and what was left out to make it so.

    A character outside ASCII counts as its bytes in UTF-8: a vocabulary that does not know it spends a token on each.
    What goes first: the oldest candles, then the oldest news, then the other keys, the longest first.
    """
    data = cleaned(context.model_dump(mode="json", exclude_unset=True), MarketContext.model_fields)
    text, trimmed = _line(data), list[str]()
    for cut in _cuts(data):
        excess = len(text.encode()) - characters_max
        if excess <= 0:
            break
        if left_out := cut(data, excess):
            trimmed.append(left_out)
            text = _line(data)
    return text, _told(trimmed)


def cleaned(value: Any, reserved: Collection[str] = ()) -> Any:
    """The value with every text in it, keys too, brought to its plain form (NFKC) and without unseen characters.

    No key passes for another: one that was not plain, and now reads like a reserved or a plain one, has a number put
    behind it.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return _plainly_keyed(value, reserved)
    return [cleaned(item) for item in value] if isinstance(value, list | tuple) else value


def _plainly_keyed(data: dict[str, Any], reserved: Collection[str]) -> dict[str, Any]:
    plain = {key: clean_text(key) for key in data}
    taken = {*reserved, *(key for key in data if plain[key] == key)}
    found = {}
    for key, item in data.items():
        name = key if plain[key] == key else _untaken(plain[key], taken)
        taken.add(name)
        found[name] = cleaned(item)
    return found


def _untaken(key: str, taken: Collection[str]) -> str:
    # At most as many turns as there are keys: each number is taken by one of them.
    return key if key not in taken else next(name for n in count(2) if (name := f"{key} ({n})") not in taken)


def clean_text(text: str) -> str:
    """The text in its plain form (NFKC), line breaks and tabs as spaces, without unseen characters."""
    if text.isascii() and text.isprintable():
        return text
    return _seen(unicodedata.normalize("NFKC", _seen(_SPACES.sub(" ", text))))


def _seen(text: str) -> str:
    seen = _BLANK.sub("", text)
    return seen if seen.isprintable() else "".join(one for one in seen if unicodedata.category(one) not in _UNSEEN)


def _line(data: dict[str, Any]) -> str:
    return _MARKS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", canonical_json(data).decode())


def _cuts(data: dict[str, Any]) -> Iterator[Cut]:
    yield lambda data, excess: _oldest("candles", data, excess)
    yield lambda data, excess: _oldest("news", data, excess)
    free = [key for key in data if key not in MarketContext.model_fields]
    for key in [*sorted(free, key=lambda key: -len(canonical_json(data[key]))), *_KNOWN_LAST]:
        yield lambda data, excess, key=key: _whole(key, data)  # type: ignore[misc]


def _oldest(key: str, data: dict[str, Any], excess: int) -> str | None:
    """Drops as many of the oldest items as make up for the excess; all of them where that is not enough."""
    items = data.get(key)
    if not items:
        return None
    dropped, saved = 0, 0
    while dropped < len(items) and saved < excess:
        saved += len(canonical_json(items[dropped])) + 1
        dropped += 1
    data[key] = items[dropped:]
    return f"{key}: the oldest {dropped} of {len(items)}"


def _whole(key: str, data: dict[str, Any]) -> str | None:
    if key not in data:
        return None
    del data[key]
    return f"{clip(key, KEY_SHOWN_CHARACTERS_MAX)}: all"


def _told(trimmed: list[str]) -> tuple[str, ...]:
    """What was left out, in as many names as a decision holds."""
    shown = 31  # a decision holds 32
    return (*trimmed[:shown], f"{len(trimmed) - shown} more: all") if len(trimmed) > shown + 1 else tuple(trimmed)
