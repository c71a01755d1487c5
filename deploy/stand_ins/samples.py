"""The markets stand-ins are taught and examined on: windows of real candles, invented walks, bare questions."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deciders.summary import WINDOW_BARS, Sight, bar_volatility

MINUTES_A_YEAR = 525_600
MARKET_DATA = Path(__file__).resolve().parents[2] / "examples" / "market-data"
FILES = ("bybit-BTCUSDT-1m-20221213.csv", "coinbase-ETHUSD-1m-20180404-05.csv")  # named, so that a new file changes no weights
SYMBOLS = ("BTCUSDT", "ETHUSDT", "ADAUSDT", "LTCUSD", "BTCUSD", "ETH-USD", "SOL/USDT", "BTC/USDT:USDT", "XRPEUR", "DOGEUSDT")
BARS = ("1m", "1m", "1m", "5m", "15m", "1h")
HORIZONS_S = (900, 900, 900, 300, 3_600, 60, 86_400)
REAL_SHARE = 0.5
SPARSE_SHARE = 0.12
FORGOTTEN_SHARE = 0.06  # chance that any one thing is not told


@dataclass(frozen=True, slots=True)
class Sample:
    """One question: whose market, and what is known of it."""

    symbol: str
    sight: Sight


@dataclass(frozen=True, slots=True)
class History:
    """One file of real candles: closes and volumes, oldest first."""

    closes: tuple[float, ...]
    volumes: tuple[float, ...]


def histories(folder: Path = MARKET_DATA, names: Sequence[str] = FILES) -> list[History]:
    """The real candles of these files; those that stand-ins are taught on, where none are named."""
    found = []
    for name in names:
        with (folder / name).open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        found.append(History(tuple(float(r["close"]) for r in rows), tuple(float(r["volume"]) for r in rows)))
    return found


def samples(chance: random.Random, real: list[History]) -> Iterator[Sample]:
    """Questions without end; the same ones for the same seed and files."""
    while True:
        draw = chance.random()
        if draw < SPARSE_SHARE:
            sight = _sparse(chance)
        elif draw < SPARSE_SHARE + REAL_SHARE:
            sight = _forget(_real(chance, chance.choice(real)), chance)
        else:
            sight = _forget(_invented(chance), chance)
        yield Sample(_symbol(chance), replace(sight, horizon_s=chance.choice(HORIZONS_S)))


def rsi_sentiment(closes: tuple[float, ...], period: int = 14) -> float:
    """A stand-in for sentiment from prices alone: the relative strength index, from 0-100 brought to -1..1."""
    changes = [after - before for before, after in zip(closes[-period - 1 :], closes[-period:], strict=False)]
    gains, losses = sum(c for c in changes if c > 0), -sum(c for c in changes if c < 0)
    return 0.0 if gains + losses == 0 else (gains - losses) / (gains + losses)


def _real(chance: random.Random, history: History) -> Sight:
    end = chance.randrange(WINDOW_BARS + 1, len(history.closes))
    closes = history.closes[end - WINDOW_BARS : end]
    volumes = history.volumes[end - WINDOW_BARS : end]
    mean = math.fsum(volumes) / len(volumes) or 1.0
    return _placed(chance, closes, volumes[-1] / mean, rsi_sentiment(closes), "1m")


def _invented(chance: random.Random) -> Sight:
    step, drift = 10 ** chance.uniform(-3.7, -2.2), chance.gauss(0, 0.25)
    price = 10 ** chance.uniform(-1, 5)
    closes = [price]
    for _ in range(WINDOW_BARS - 1):
        closes.append(closes[-1] * math.exp(step * chance.gauss(drift, 1)))
    return _placed(chance, tuple(closes), 10 ** chance.gauss(-0.05, 0.35), chance.uniform(-1, 1), chance.choice(BARS))


def _placed(chance: random.Random, closes: tuple[float, ...], volume: float, sentiment: float, bar: str) -> Sight:
    # Half the markets carry the position of a bot that just traded; the rest have none.
    held = chance.choice((0.0, 0.0, 1.0, 1.0, -1.0))
    market = "perp" if held < 0 or chance.random() < 0.35 else "spot"
    entry = closes[-1] * math.exp(chance.gauss(0, 4 * bar_volatility(closes)))
    return Sight(
        closes=closes,
        price=closes[-1],
        volume_ratio=volume,
        sentiment=sentiment,
        market=market,
        bar=bar,
        volatility=bar_volatility(closes) * math.sqrt(MINUTES_A_YEAR) * chance.uniform(0.7, 1.4),
        has_position=bool(held),
        position=held,
        entry_price=entry if held else None,
    )


def _forget(sight: Sight, chance: random.Random) -> Sight:
    names = ("price", "volume_ratio", "volatility", "sentiment", "entry_price", "bar", "closes")
    gone = {name: () if name == "closes" else None for name in names if chance.random() < FORGOTTEN_SHARE}
    if chance.random() < FORGOTTEN_SHARE:
        gone |= {"has_position": None, "position": None, "entry_price": None}
    if "closes" in gone:
        gone |= {"bar": None}
    return replace(sight, **gone)  # type: ignore[arg-type]


def _sparse(chance: random.Random) -> Sight:
    # A price and perhaps one thing more, as people send by hand.
    sight = Sight(price=10 ** chance.uniform(-1, 5))
    extra = chance.randrange(4)
    if extra == 1:
        return replace(sight, sentiment=chance.uniform(-1, 1))
    if extra == 2:
        return replace(sight, volatility=10 ** chance.uniform(-1.5, 0.5))
    return replace(sight, has_position=chance.random() < 0.5) if extra == 3 else sight


def _symbol(chance: random.Random) -> str:
    if chance.random() < 0.6:
        return chance.choice(SYMBOLS)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join(chance.choice(letters) for _ in range(chance.randint(2, 6))) + chance.choice(
        ("USDT", "USD", "/USDT", "-PERP", "", "EUR")
    )
