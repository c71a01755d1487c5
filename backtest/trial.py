"""A backtest: the decisions of a run on the candles of their markets, each knowledge cut-off by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from backtest.bars import Bars, Numbers
from backtest.chance import DRAWS, drawn
from backtest.costs import Costs, Market
from backtest.curve import Curve, Key, Setting, curve_of, held
from backtest.figures import Figures, figures_of
from backtest.orders import Order, Told, told_of
from deciders.identity import Cutoff
from schemas.action import Action

SEED: Final = 1
DECISIONS: Final = "decisions"
CUTOFFS: Final[tuple[Cutoff, ...]] = ("past_cutoff", "in_window", "unknown")


class TrialError(ValueError):
    """The backtest cannot be made; the text names why, and the remedy."""


@dataclass(frozen=True, slots=True)
class Chance:
    """The same orders at random candles, by draw. `beaten`: the share of draws that came to less than the decisions did."""

    total_returns: Numbers
    turnovers: Numbers
    low: Numbers  # of the curves, the 5th and the 95th percentile at each point
    high: Numbers
    beaten: float


@dataclass(frozen=True, slots=True)
class Part:
    """All decisions of one knowledge cut-off. No figure is of two of them."""

    cutoff: Cutoff
    models: Mapping[str, int]  # how many orders each gave
    orders: int
    markets: Mapping[str, Bars]  # the candles between its first and its last decision
    curves: Mapping[str, Curve]  # of the decisions, and of what they are compared with
    figures: Mapping[str, Figures]
    chance: Chance

    @property
    def missed(self) -> Counter[str]:
        """How many of its orders were not filled, by the reason."""
        return sum((each.missed for each in self.curves[DECISIONS].accounts.values()), Counter[str]())


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. `statuses`: of all decisions; `unmarketed`: orders on markets without candles, by symbol."""

    folder: Path
    costs: Costs
    market: Market
    markets: Mapping[str, Bars]
    statuses: Mapping[str, int]
    unmarketed: Mapping[str, int]
    parts: tuple[Part, ...] = field(default=())


def tried(folder: Path, markets: Mapping[str, Bars], costs: Costs, market: Market, draws: int = DRAWS) -> Trial:
    """The decisions in this folder, a run's or an export's, on these markets. Raises TrialError and Damaged."""
    told = list(told_of(folder))
    orders = [each.order for each in told if each.order is not None]
    if not told:
        raise TrialError(f"{folder}: holds no decision: name the folder of a run, or of an export")
    own = [each for each in orders if each.symbol in markets and markets[each.symbol].hold(each.moment_ms)]
    unmarketed = Counter(each.symbol for each in orders) - Counter(each.symbol for each in own)
    if orders and not own:
        raise TrialError(f"--candles: none is of a market that was decided on: {', '.join(sorted(unmarketed))}, at its time")
    setting = Setting(markets, (), costs, market)
    parts = tuple(_part(each, told, own, setting, draws) for each in CUTOFFS if any(o.cutoff == each for o in own))
    return Trial(folder, costs, market, markets, _statuses(told), unmarketed, parts)


def _statuses(told: Iterable[Told]) -> Mapping[str, int]:
    return dict(sorted(Counter(each.status for each in told).items()))


def _part(cutoff: Cutoff, told: Sequence[Told], orders: Sequence[Order], whole: Setting, draws: int) -> Part:
    mine = [each for each in orders if each.cutoff == cutoff]
    accounts = tuple(sorted({each.account for each in mine}))
    setting = replace(whole, accounts=accounts, markets=_windows(cutoff, told, mine, whole.markets))
    by_account: dict[Key, list[Order]] = {key: [] for key in accounts}
    for each in orders:
        if each.account in by_account:
            by_account[each.account].append(each if each.cutoff == cutoff else _ceding(each))
    ours = curve_of(by_account, setting)
    curves = {DECISIONS: ours, "HOLD": curve_of({}, setting), "buy and hold": held(setting)}
    figures = {name: figures_of(curve, setting.periods_per_year) for name, curve in curves.items()}
    chance = _chance(list(drawn(ours, setting, SEED, draws)), ours)
    return Part(cutoff, Counter(each.model for each in mine), len(mine), setting.markets, curves, figures, chance)


def _windows(cutoff: Cutoff, told: Sequence[Told], mine: Sequence[Order], markets: Mapping[str, Bars]) -> Mapping[str, Bars]:
    """Of each market the candles from the first to the last decision of this cut-off: others say nothing of it."""
    found = {}
    for symbol in sorted({each.symbol for each in mine}):
        moments = [each.as_of_ms for each in told if (each.cutoff, each.symbol) == (cutoff, symbol) and each.as_of_ms is not None]
        lives = [moment for each in mine if each.symbol == symbol for moment in (each.moment_ms, each.until_ms)]
        found[symbol] = markets[symbol].between(min(moments + lives), max(moments + lives))
    return found


def _ceding(order: Order) -> Order:
    """The order of another cut-off, as it is for this one: from here on the market is held for that one's reasons."""
    return replace(order, action=Action.CLOSE, cedes=True)


def _chance(curves: Sequence[Curve], ours: Curve) -> Chance:
    totals = np.array([each.worth.iloc[-1] - 1 for each in curves])
    low, high = np.percentile(np.array([each.worth.to_numpy() for each in curves]), [5, 95], axis=0)
    beaten = float(np.mean(totals < ours.worth.iloc[-1] - 1))
    return Chance(totals, np.array([each.turnover for each in curves]), low, high, beaten)
