"""What a bot knows of its market: the field `context`, free-form with known keys typed."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from schemas.canonical import parse_rfc3339

# Below this, a number of milliseconds would lie before March 1973: it was meant as seconds.
EPOCH_MS_MIN: Final = 100_000_000_000
EPOCH_MS_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999

_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_INTERVAL: Final = re.compile(r"([1-9]\d{0,3})([smhdw])", re.ASCII)
YEAR_MS: Final = 365 * 86_400_000


def instant_ms(value: object) -> int:
    """An instant in epoch milliseconds, from RFC 3339 or epoch milliseconds; ValueError for anything else."""
    if isinstance(value, str):
        return parse_rfc3339(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be RFC 3339 with an offset, or an integer of epoch milliseconds")
    if value < EPOCH_MS_MIN:
        raise ValueError("must be in milliseconds: below 1e11 it is seconds")
    if value > EPOCH_MS_MAX:
        raise ValueError("must lie before the year 10000")
    return value


def interval_ms(text: str) -> int:
    """The length of a candle such as `1m`, `15m`, `1h`, `1d`; ValueError, naming the form, for anything else."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError("must be a number and one of s, m, h, d, w, such as 1m or 4h")
    return int(match[1]) * _UNIT_MS[match[2]]


def _checked_interval(value: object) -> object:
    if isinstance(value, str):
        interval_ms(value)
    return value


def _sized(value: object) -> object:
    """A bare number is a position's size."""
    return {"size": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


_MOMENT_SCHEMA = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": EPOCH_MS_MIN}]}

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
Price = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Instant = Annotated[int, BeforeValidator(instant_ms), WithJsonSchema(_MOMENT_SCHEMA)]
Interval = Annotated[str, Strict(), BeforeValidator(_checked_interval), WithJsonSchema({"type": "string"})]


class Candle(NamedTuple):
    """One closed bar; `t` is its open time in epoch ms. A tuple, because rows come as `{t,o,h,l,c,v}` and as lists."""

    t: Annotated[int, Field(strict=True, ge=EPOCH_MS_MIN, le=EPOCH_MS_MAX)]
    o: Price
    h: Price
    l: Price  # noqa: E741 - the wire's name
    c: Price
    v: NotNegative


_POSITION_SCHEMA: Final = {
    "anyOf": [
        {"type": "number"},
        {
            "type": "object",
            "properties": {"size": {"type": "number"}, "entry_price": {"type": "number", "exclusiveMinimum": 0}},
            "required": ["size"],
        },
        {"type": "null"},
    ]
}
_CANDLE_NUMBERS: Final = {name: {"type": "number"} for name in Candle._fields}
_CANDLES_SCHEMA: Final = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "object", "properties": _CANDLE_NUMBERS, "required": list(Candle._fields)},
            {"type": "array", "items": {"type": "number"}, "minItems": 6, "maxItems": 6},
        ]
    },
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class Position(_Part):
    """What is held: `size` in signed base units."""

    size: Number
    entry_price: Price | None = None


class Account(_Part):
    """What the bot has, in quote units."""

    equity: Number | None = None
    cash: Number | None = None


class NewsItem(_Part):
    """A text from elsewhere; never trusted."""

    published_at: Instant
    text: str
    source: str | None = None


class MarketContext(_Part):
    """The market as the bot saw it. Unknown keys stay in `model_extra` and reach the model as quoted data."""

    price: Price | None = None
    volume: NotNegative | None = None
    volume_ratio: NotNegative | None = None
    volatility: NotNegative | None = None
    sentiment: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1, le=1)] | None = None
    market: Literal["spot", "perp"] = "spot"
    has_position: bool | None = None
    position: Annotated[Position | None, BeforeValidator(_sized), WithJsonSchema(_POSITION_SCHEMA)] = None
    account: Account | None = None
    interval: Interval | None = None
    candles: Annotated[tuple[Candle, ...], Strict(False), Field(fail_fast=True), WithJsonSchema(_CANDLES_SCHEMA)] = ()
    indicators: dict[str, Number] | None = None
    news: Annotated[tuple[NewsItem, ...], Strict(False), Field(fail_fast=True)] = ()

    @property
    def rest(self) -> dict[str, Any]:
        """The keys that no rule knows."""
        return self.model_extra or {}

    @property
    def price_ref(self) -> float | None:
        """The price a decision refers to: `price`, else the last close."""
        if self.price is not None:
            return self.price
        return self.candles[-1].c if self.candles else None

    @property
    def position_size(self) -> float | None:
        """What is held, in signed base units; None where nobody said."""
        if self.position is not None:
            return self.position.size
        return 0.0 if self.has_position is False else None

    @property
    def holds(self) -> bool | None:
        """Whether there is a position; None where nobody said."""
        return self.has_position if self.position is None else self.position.size != 0

    @property
    def interval_ms(self) -> int | None:
        """The candles' length in ms."""
        return None if self.interval is None else interval_ms(self.interval)
