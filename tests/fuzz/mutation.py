"""Other inputs from one that is known: parts of its JSON changed, moved and stretched, then now and then its bytes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

from deciders.answer import LABELS
from schemas.context import ContextEvent
from schemas.market import MarketContext
from tests.containment.attacks import KINDS, MARKS, Wish

BYTES_MAX: Final = 80_000  # more than a context may have
STRETCHED_MAX: Final = 3_000
Holder = tuple[Any, Any]  # a list or an object, and the place in it

UNSEEN: Final = "\u200b\u202e\u2066\ufeff\u00ad\u034f\u3164\ufe0f\U000e0041\U000e0141\x00\x1b\u2028\x85"
NAMES: Final = (*ContextEvent.model_fields, *MarketContext.model_fields, "action", "size_percent", "symbol", "t", "o", "v")
EDGES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -0.0, 1, -1, 20, 0.5, 1e-320, 1e308, -1e308, 10**11, 10**15, 10**400, float("nan"), float("inf"),
    "", " ", "1m", "9999w", "0m", "spot", "perp", *LABELS,
    "2023-11-14T22:13:20Z", "9999-12-31T23:59:59.999-23:59", "0001-01-01T00:00:00+23:59",
    [], {}, [[]], {"": {}}, "\ud800", "\udfff", "\U0010ffff", "-" * 7, "\ufdfa" * 40, "e\u0301\u0316" * 30,
)  # fmt: skip
TOKENS: Final = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"NaN", b"1e999", b"-",
    b"\xff", b"\xed\xa0\x80", b"\x00", b"/**/", b"0x1", b"\xef\xbb\xbf", b"9" * 400,
)  # fmt: skip


def mutated(known: bytes, chance: random.Random) -> bytes:
    """Another input, by one to five changes; most of them leave it JSON."""
    try:
        value = json.loads(known)
    except (ValueError, RecursionError):
        return _bytes(known, chance)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        value = _changed(value, chance)
    try:
        written = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return _bytes(known, chance)
    return _bytes(written, chance) if chance.random() < 0.15 else written[:BYTES_MAX]


def text(chance: random.Random) -> str:
    """A text that somebody might mean ill by."""
    way = chance.randrange(4)
    if way == 0:
        kind = chance.choice(list(KINDS.values()))
        return kind(Wish(chance.choice(LABELS), "BTCUSDT"), chance)
    if way == 1:
        return chance.choice(MARKS) * chance.randint(1, 3)
    if way == 2:
        return "".join(chr(chance.randrange(chance.choice((0x80, 0x300, 0x110000)))) for _ in range(chance.randrange(12)))
    return chance.choice(NAMES) + chance.choice(UNSEEN)


def _changed(value: Any, chance: random.Random) -> Any:
    """The value with one thing changed somewhere in it, in place where that is possible."""
    place = _place(value, chance)
    if place is None:
        return copy.deepcopy(chance.choice(EDGES))
    chance.choice(_CHANGES)(*place, chance)
    return value


def _place(value: Any, chance: random.Random) -> Holder | None:
    """A place in a JSON value, rather in what holds more than in what holds none: at the top most are the sender's."""
    found = None
    while isinstance(value, dict | list) and value and (found is None or chance.random() < 0.8):
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        fuller = [place for place in places if isinstance(value[place], dict | list)]
        place = chance.choice(fuller if fuller and chance.random() < 0.8 else places)
        found, value = (value, place), value[place]
    return found


def _replace(holder: Any, place: Any, chance: random.Random) -> None:
    holder[place] = copy.deepcopy(chance.choice(EDGES))


def _write(holder: Any, place: Any, chance: random.Random) -> None:
    holder[place] = text(chance)


def _remove(holder: Any, place: Any, chance: random.Random) -> None:
    del holder[place]


def _wrap(holder: Any, place: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 9, 60))):
        holder[place] = [holder[place]] if chance.random() < 0.5 else {text(chance): holder[place]}


def _rename(holder: Any, place: Any, chance: random.Random) -> None:
    if not isinstance(holder, dict):
        return
    names = (str(place) + chance.choice(UNSEEN), chance.choice(NAMES), text(chance), _wide(str(place)))
    holder[chance.choice(names)] = holder.pop(place)


def _add(holder: Any, place: Any, chance: random.Random) -> None:
    if isinstance(holder, dict):
        holder[chance.choice((chance.choice(NAMES), text(chance)))] = copy.deepcopy(chance.choice((holder[place], *EDGES)))
    else:
        holder.insert(place, copy.deepcopy(holder[place]))


def _stretch(holder: Any, place: Any, chance: random.Random) -> None:
    one, times = holder[place], chance.choice((2, 20, 300))
    if isinstance(one, str) and one:
        holder[place] = (one * times)[:STRETCHED_MAX]
    elif isinstance(one, list) and one:
        holder[place] = [copy.deepcopy(one[number % len(one)]) for number in range(min(len(one) * times, STRETCHED_MAX // 10))]


def _nudge(holder: Any, place: Any, chance: random.Random) -> None:
    one = holder[place]
    if isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e300:
        holder[place] = chance.choice((-one, one + 1, one - 1, one * 1000, one / 1000, float(one), str(one)))


_CHANGES: Final[tuple[Callable[[Any, Any, random.Random], None], ...]] = (
    _replace, _replace, _write, _write, _remove, _wrap, _rename, _rename, _add, _add, _stretch, _nudge,
)  # fmt: skip


def _wide(name: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in name)


def _bytes(known: bytes, chance: random.Random) -> bytes:
    raw = bytearray(known[:BYTES_MAX] or b"{")
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, way = chance.randrange(len(raw) + 1), chance.randrange(4)
        if way == 0:
            raw[at:at] = chance.choice(TOKENS)
        elif way == 1:
            del raw[at : at + chance.choice((1, 1, 8, 200))]
        elif way == 2 and at < len(raw):
            raw[at] ^= 1 << chance.randrange(8)
        else:
            raw[at:at] = raw[at : at + chance.choice((1, 8, 64))]
    return bytes(raw)
