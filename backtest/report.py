"""A backtest as one page that needs nothing else: what was assumed, what came of it, and what that does and does not prove."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from backtest import plots
from backtest.account import LEVERAGE_MAX
from backtest.bars import Bars
from backtest.figures import Figures
from backtest.trial import DECISIONS, Chance, Part, Trial
from schemas.canonical import rfc3339

PROVES: Final = (
    "This shows what these decisions would have come to on these candles, at the costs assumed below. It does not show that they "
    "will earn anything: the time is short, nobody moved the market because of us, and a model may have read of a market "
    "that lies before its knowledge ends (in_window), or whose maker does not say when that is (unknown). "
    "Decisions of stand-in models say nothing of the models that they stand for."
)
CUTOFF_SAYS: Final = {
    "past_cutoff": "The market lies after what the models can have read.",
    "in_window": "The market lies before the models' knowledge ends: they may remember it.",
    "unknown": "Nobody published what the models can have read: they may remember this market.",
}
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd }
td { white-space: nowrap }
td:first-child, th:first-child, .told td { text-align: left }
.told td { white-space: normal }
img { max-width: 100% }
.proves { border-left: 4px solid #b2182b; padding-left: 1em }
"""


def page(trial: Trial, about: Mapping[str, str]) -> str:
    """The whole page. `about`: what is said of where the decisions come from."""
    parts = "".join(map(_part, trial.parts)) or "<p>No decision acted: there is nothing to show.</p>"
    body = f"<h1>Backtest</h1><p class='proves'>{PROVES}</p>{_assumed(trial, about)}{parts}"
    return f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Backtest</title><style>{STYLE}</style>{body}</html>\n"


def _assumed(trial: Trial, about: Mapping[str, str]) -> str:
    costs = trial.costs
    funding = f", funding {costs.funding_bps:g} bps of what is held each eight hours" if trial.market == "perp" else ""
    alone = f"; at most {LEVERAGE_MAX:g} times its worth is held, and at none it is liquidated" if trial.market == "perp" else ""
    told = {
        **about,
        "costs": f"fee {costs.fee_bps:g} bps, slippage {costs.slippage_bps:g} bps{funding} ({trial.market})",
        "fills": (
            "at the open of the candle of the decision's moment where at most a tenth of it has passed, else at its close; "
            "stops and targets in the first candle that reaches them, the stop first"
        ),
        "moment": "when it was decided; of history that was asked about later, as long after as_of as the model took",
        "capital": f"equal shares for each bot on each market; what one account earns, another does not use{alone}",
        "decisions": ", ".join(f"{count} {status}" for status, count in trial.statuses.items()),
        "without candles": ", ".join(f"{count} of {symbol}" for symbol, count in trial.unmarketed.items()) or "none",
    }
    return f"<h2>Assumed</h2><div class='told'>{_table(('', ''), told.items())}</div>{_markets(trial.markets)}"


def _markets(markets: Mapping[str, Bars]) -> str:
    rows = [
        (symbol, len(bars), rfc3339(int(bars.opens_ms[0])), rfc3339(int(bars.opens_ms[-1]) + bars.step_ms), bars.step_ms // 1000)
        for symbol, bars in markets.items()
    ]
    return _table(("market", "candles", "from", "to", "seconds each"), rows)


def _part(part: Part) -> str:
    models = ", ".join(f"{html.escape(name)} ({count})" for name, count in sorted(part.models.items()))
    says = f"<p>{CUTOFF_SAYS[part.cutoff]} {part.orders} decisions acted, of {models}.</p>"
    images = "".join(f"<img alt='{name}' src='data:image/png;base64,{png}'>" for name, png in _images(part))
    window = f"<p>All figures are of the candles between the first and the last of these decisions.</p>{_markets(part.markets)}"
    return f"<h2>{part.cutoff}</h2>{says}{window}{images}{_figures(part)}{_fills(part)}"


def _images(part: Part) -> Sequence[tuple[str, str]]:
    return (("what it came to", plots.curves(part)), ("beside chance", plots.chance(part)))


def _figures(part: Part) -> str:
    rows = [(name, *_row(each)) for name, each in part.figures.items()]
    heads = ("", "gain", "a year", "volatility a year", "Sharpe", "Sortino", "deepest fall", "turnover", "trades")
    return _table(heads, rows) + f"<p>{_beside(part.chance)} A year's gain is not told of less than 30 days.</p>"


def _row(figures: Figures) -> tuple[object, ...]:
    gains = map(_percent, (figures.total_return, figures.annual_return, figures.annual_volatility))
    ratios, fall = map(_ratio, (figures.sharpe, figures.sortino)), _percent(figures.max_drawdown)
    return (*gains, *ratios, fall, f"{figures.turnover:.2f}", figures.trades)


def _beside(chance: Chance) -> str:
    draws, middle = len(chance.total_returns), _percent(_middle(chance.total_returns))
    return (
        f"The same orders, moved together to random candles, {draws} times, gained {middle} in the middle, with a turnover of "
        f"{_middle(chance.turnovers):.2f}; {chance.beaten:.0%} of them came to less than the decisions."
    )


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _fills(part: Part) -> str:
    accounts = part.curves[DECISIONS].accounts
    rows = []
    for (bot_id, symbol), account in accounts.items():
        whys = Counter(each.why for each in account.fills)
        missed = ", ".join(f"{count} {why}" for why, count in account.missed.items()) or "none"
        ends = (whys[each] for each in ("order", "stop", "target", "liquidated", "ceded"))
        rows.append((f"{bot_id} on {symbol}", *ends, missed))
    heads = ("account", "orders filled", "stops", "targets", "liquidated", "ceded to another cut-off", "not filled")
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{html.escape(each)}</th>" for each in heads) if any(heads) else ""
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _percent(fraction: float | None) -> str:
    return "—" if fraction is None else f"{100 * fraction:+.2f} %"


def _ratio(ratio: float | None) -> str:
    return "—" if ratio is None else f"{ratio:.2f}"
