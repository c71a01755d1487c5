"""What a market looks like in a dozen short lines: numbers, each with a word for its size.

Small models cannot do arithmetic; they read the words. The words of price moves are relative to the market's own recent
volatility, so that they mean the same for every market and bar length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

UNKNOWN = "unknown"
MOVE_WORDS = ("plunging", "falling", "flat", "rising", "surging")
SENTIMENT_WORDS = ("bearish", "negative", "neutral", "positive", "bullish")
VOLUME_WORDS = ("thin", "normal", "heavy")
VOLATILITY_WORDS = ("calm", "moderate", "high")
GAIN_WORDS = ("losing", "even", "gaining")

# In units of the market's own volatility over as many bars: of a random walk's moves 31 % are flat, 23 % strong.
MOVE_EDGES = (-1.2, -0.4, 0.4, 1.2)
SENTIMENT_EDGES = (-0.5, -0.15, 0.15, 0.5)
VOLUME_EDGES = (0.5, 1.5)
VOLATILITY_EDGES = (0.3, 0.8)  # annualised
GAIN_EDGES = (-0.0005, 0.0005)  # 5 basis points: about a round trip's spread
MOVE_BARS = {"step": 1, "swing": 5, "trend": 15}  # the names by which moves over so many bars are called
WINDOW_BARS = 30  # bars from which the market's own volatility is taken
WINDOW_BARS_MIN = 5
BAR_VOLATILITY_DEFAULT = 0.001  # 10 basis points a bar, a usual minute in crypto, where too few bars are known
BASIS_POINT = 1e-4
SHOWN_MAX = 9_999.0  # a number beyond it is shown as this: a line stays short whatever a bot sends


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the summary: its name, its number as text ("" where there is none), its word."""

    name: str
    number: str
    word: str

    @property
    def line(self) -> str:
        return f"{self.name}: {self.number} ({self.word})" if self.number else f"{self.name}: {self.word}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a market, as numbers; None where it is not known. Closes are oldest first, newest last.

    Volatility is an annualised fraction, sentiment -1 to 1, volume a ratio to its recent mean, position signed base
    units.
    """

    closes: Sequence[float] = ()
    price: float | None = None
    volume_ratio: float | None = None
    volatility: float | None = None
    sentiment: float | None = None
    has_position: bool | None = None
    position: float | None = None
    entry_price: float | None = None
    market: str = "spot"
    bar: str | None = None
    horizon_s: int = 900


def summarise(sight: Sight) -> tuple[Field, ...]:
    """The lines a small model reads, always the same ones in the same order; what is not known says so."""
    moves = [_move(name, sight.closes, bars) for name, bars in MOVE_BARS.items()]
    return (
        Field("market", "", sight.market),
        Field("price", "", UNKNOWN if sight.price is None else f"{sight.price:.6g}"),
        Field("bars", "", sight.bar or UNKNOWN),
        Field("horizon", "", duration(sight.horizon_s)),
        *moves,
        _graded("volume", sight.volume_ratio, "{:.1f}x", VOLUME_EDGES, VOLUME_WORDS),
        _graded("volatility", sight.volatility, "{:.0%}", VOLATILITY_EDGES, VOLATILITY_WORDS),
        _graded("sentiment", sight.sentiment, "{:+.2f}", SENTIMENT_EDGES, SENTIMENT_WORDS),
        Field("position", "", _side(sight)),
        _graded("gain", _gain(sight), "{:+.2%}", GAIN_EDGES, GAIN_WORDS),
    )


def duration(seconds: int) -> str:
    """A length of time as traders write it, in its largest whole unit: 900 is "15m"."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def bar_volatility(closes: Sequence[float]) -> float:
    """The root mean square of the last one-bar log returns; a usual minute's where too few or no moves are known."""
    recent = list(closes[-WINDOW_BARS - 1 :])
    returns = [log_return(before, after) for before, after in pairwise(recent)]
    if len(returns) < WINDOW_BARS_MIN:
        return BAR_VOLATILITY_DEFAULT
    return math.sqrt(math.fsum(r * r for r in returns) / len(returns)) or BAR_VOLATILITY_DEFAULT


def log_return(before: float, after: float) -> float:
    """The natural logarithm of a move from one price to another, also where their ratio is no float."""
    ratio = after / before
    return math.log(ratio) if 0 < ratio < math.inf else math.log(after) - math.log(before)


def grade(value: float, edges: Sequence[float], words: Sequence[str]) -> str:
    """The word of the interval that holds the value; a value on an edge belongs to the interval above it."""
    return words[sum(value >= edge for edge in edges)]


def _move(name: str, closes: Sequence[float], bars: int) -> Field:
    if len(closes) <= bars:
        return Field(name, "", UNKNOWN)
    move = log_return(closes[-1 - bars], closes[-1])
    word = grade(move / (bar_volatility(closes) * math.sqrt(bars)), MOVE_EDGES, MOVE_WORDS)
    return Field(name, f"{move / BASIS_POINT:+.0f}bp", word)


def _graded(name: str, value: float | None, pattern: str, edges: Sequence[float], words: Sequence[str]) -> Field:
    if value is None:
        return Field(name, "", UNKNOWN)
    shown = max(-SHOWN_MAX, min(SHOWN_MAX, value))
    return Field(name, pattern.format(shown), grade(value, edges, words))


def _side(sight: Sight) -> str:
    if sight.position:
        return "long" if sight.position > 0 else "short"
    if sight.has_position is None and sight.position is None:
        return UNKNOWN
    return "long" if sight.has_position else "none"  # a position whose side is not told: on spot it can only be long


def _gain(sight: Sight) -> float | None:
    if not sight.position or not sight.entry_price or not sight.price:
        return None
    return (sight.price / sight.entry_price - 1) * math.copysign(1, sight.position)
