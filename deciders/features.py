"""What the rules see of a market: its facts and the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from schemas.market import YEAR_MS, Candle, MarketContext
from schemas.policy import Thresholds
from schemas.route import Feature

# Fewer returns, or earlier volumes, than this say nothing about what is usual.
SAMPLES_MIN = 4


@dataclass(frozen=True, slots=True)
class Features:
    """Facts are True, False, or None where the context does not say; `volatility` is an annualised fraction.

    `position_pct` is a fraction of equity. `measured` says whether the policy asks how large the position is: elsewhere
    nothing is shown of it.
    """

    has_position: bool | None = None
    high_volume: bool | None = None
    volatility_high: bool | None = None
    sentiment_clear: bool | None = None
    volume_ratio: float | None = None
    volatility: float | None = None
    sentiment: float | None = None
    large_position: bool | None = None
    position_pct: float | None = None
    measured: bool = False

    def hold(self, names: Sequence[str]) -> bool:
        """Whether all of these facts are known and true: an unknown one never makes a rule match."""
        for name in names:  # noqa: SIM110 - this is asked for every rule and context, and all() takes twice as long
            if getattr(self, name) is not True:
                return False
        return True

    def as_route(self) -> dict[str, Feature | None]:
        """The features as a decision's route shows them, unknown facts named so."""
        shown: dict[str, Feature | None] = {
            "has_position": _named(self.has_position),
            "high_volume": _named(self.high_volume),
            "volatility_high": _named(self.volatility_high),
            "sentiment_clear": _named(self.sentiment_clear),
            "volume_ratio": self.volume_ratio,
            "volatility": self.volatility,
            "sentiment": self.sentiment,
        }
        if self.measured:
            shown |= {"large_position": _named(self.large_position), "position_pct": self.position_pct}
        return shown


def compute_features(context: MarketContext, thresholds: Thresholds) -> Features:
    """The features of a context: from its known keys or, where they are missing, from its candles.

    `volume` alone decides nothing: without a ratio or candles nobody knows whether it is high.
    """
    bars = context.candles[-(thresholds.recent_bars + 1) :]
    ratio = _volume_ratio(bars) if context.volume_ratio is None else context.volume_ratio
    volatility = _volatility(bars, context.interval_ms) if context.volatility is None else context.volatility
    sentiment = context.sentiment
    features = Features(
        has_position=context.holds,
        high_volume=None if ratio is None else ratio >= thresholds.high_volume_ratio,
        volatility_high=None if volatility is None else volatility >= thresholds.high_volatility,
        sentiment_clear=None if sentiment is None else abs(sentiment) >= thresholds.clear_sentiment,
        volume_ratio=_rounded(ratio),
        volatility=_rounded(volatility),
        sentiment=sentiment,
    )
    return features if thresholds.large_position_pct is None else _measured(features, context, thresholds.large_position_pct)


def _measured(features: Features, context: MarketContext, large_pct: float) -> Features:
    held = _position_pct(context)
    large = None if held is None else held >= large_pct
    return replace(features, large_position=large, position_pct=_rounded(held), measured=True)


def _position_pct(context: MarketContext) -> float | None:
    """What the position is worth, either way, as a fraction of equity; None where size, price or equity is not known."""
    size, price, equity = context.position_size, context.price_ref, None if context.account is None else context.account.equity
    if size == 0:
        return 0.0
    if size is None or price is None or equity is None or equity <= 0:
        return None
    return _finite(abs(size) * price / equity)


def _volume_ratio(bars: Sequence[Candle]) -> float | None:
    """The last bar's volume over the mean of those before it; None where that mean is unknown or 0."""
    if len(bars) <= SAMPLES_MIN:
        return None
    usual = sum(bar.v for bar in bars[:-1]) / (len(bars) - 1)
    return _finite(bars[-1].v / usual) if usual > 0 else None


def _volatility(bars: Sequence[Candle], interval_ms: int | None) -> float | None:
    """The deviation of log returns between neighbouring bars, annualised: a gap says nothing about one interval."""
    if interval_ms is None:
        return None
    returns = [math.log(b.c) - math.log(a.c) for a, b in pairwise(bars) if b.t - a.t == interval_ms]
    if len(returns) < SAMPLES_MIN:
        return None
    mean = sum(returns) / len(returns)
    variance = sum((one - mean) ** 2 for one in returns) / (len(returns) - 1)
    return _finite(math.sqrt(variance * YEAR_MS / interval_ms))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)


def _named(fact: bool | None) -> Feature:
    return "unknown" if fact is None else fact
