"""A folder of decisions becomes figures and a page: beside HOLD, buy-and-hold and chance, and no cut-off with another."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import empyrical
import numpy as np
import pytest
from typer.testing import CliRunner

from backtest.bars import Bars
from backtest.chance import drawn
from backtest.costs import Costs
from backtest.curve import Setting, curve_of, held
from backtest.figures import figures_of
from backtest.report import PROVES, page
from backtest.trial import TrialError, tried
from replay import export, shelf
from schemas.action import Action
from schemas.decision import Status
from schemas.topic import DECISIONS
from tests.unit.backtest.decisions import acting, put
from tests.unit.backtest.markets import FIRST_MS, STEP_MS, bars, flat, order
from trading_llm.cli import app

pytestmark = pytest.mark.unit

FREE = Costs(0, 0, 0)
KEYS = (("a", "S"), ("b", "T"))


def setting(**markets: Bars) -> Setting:
    return Setting(markets, tuple(each for each in KEYS if each[1] in markets), FREE, "spot")


def walk(seed: int, candles: int = 3_000) -> Bars:
    """A made-up market, open at the close before."""
    prices = 100 * np.exp(np.random.default_rng(seed).normal(0, 0.001, candles + 1).cumsum())
    return bars(*([a, max(a, b) * 1.0005, min(a, b) * 0.9995, b] for a, b in pairwise(prices)))


def test_accounts_are_equal_shares_of_one_capital_and_wait_for_their_markets() -> None:
    late = replace(flat(10, 20), opens_ms=FIRST_MS + np.array([2, 3]) * STEP_MS)
    both = setting(S=flat(100, 200), T=late)
    orders = {("a", "S"): [order(0, size=1.0, account=("a", "S"))], ("b", "T"): [order(2, size=1.0, account=("b", "T"))]}
    curve = curve_of(orders, both)
    assert curve.worth.to_list() == pytest.approx([1, 1.5, 1.5, 2.0])
    assert curve.returns.to_list() == pytest.approx([0, 0.5, 0, 1 / 3])
    assert held(both).worth.to_list() == pytest.approx([1, 1.5, 1.5, 2.0])
    assert (held(both).trades, held(both).turnover, curve.trades, curve.turnover) == (2, 1.0, 2, 1.0)
    assert curve_of({}, both).worth.to_list() == [1] * 4


def test_who_buys_and_holds_a_perpetual_pays_funding_too() -> None:
    costs = Costs(fee_bps=10, slippage_bps=0, funding_bps=10)
    one = Setting({"S": flat(*([100.0] * 500))}, KEYS[:1], costs, "perp")
    assert held(one).worth.iloc[-1] == pytest.approx((1 - 0.001) / 1.001)
    assert held(replace(one, market="spot")).worth.iloc[-1] == pytest.approx(1 / 1.001)


def test_figures_are_a_years_by_the_candles_own_length(monkeypatch: pytest.MonkeyPatch) -> None:
    own = setting(S=walk(1))
    told: list[Any] = []
    plain = empyrical.sharpe_ratio

    def heard(*of: Any, annualization: float) -> Any:
        told.append(annualization)
        return plain(*of, annualization=annualization)

    monkeypatch.setattr(empyrical, "sharpe_ratio", heard)
    curve = curve_of({("a", "S"): [order(0, size=1.0, account=("a", "S"))]}, own)
    figures = figures_of(curve, own.periods_per_year)
    assert told == [365 * 24 * 60]
    returns = curve.worth.to_numpy()[1:] / curve.worth.to_numpy()[:-1] - 1
    all_returns = np.array([curve.worth.iloc[0] - 1, *returns])
    assert figures.sharpe == pytest.approx(all_returns.mean() / all_returns.std(ddof=1) * np.sqrt(365 * 24 * 60))
    assert figures.annual_return is None, "two days make no year"
    highest = np.maximum.accumulate(np.array([1, *curve.worth]))
    assert figures.max_drawdown == pytest.approx(float((np.array([1, *curve.worth]) / highest - 1).min()))


def test_a_curve_that_never_moves_has_no_ratio() -> None:
    own = setting(S=flat(1, 1, 1))
    figures = figures_of(curve_of({}, own), own.periods_per_year)
    assert (figures.total_return, figures.sharpe, figures.trades, figures.turnover) == (0, None, 0, 0)


def test_chance_trades_as_much_and_elsewhere_and_the_same_seed_the_same() -> None:
    own = setting(S=walk(2))
    orders = {("a", "S"): [order(n, size=0.01, stop=1.0, price=100.0, account=("a", "S")) for n in range(0, 400, 10)]}
    ours = curve_of(orders, own)
    one, other, third = ([each.worth.iloc[-1] for each in drawn(ours, own, seed, 20)] for seed in (1, 1, 2))
    assert one == other != third
    assert len(set(one)) == 20
    for each in drawn(ours, own, 3, 20):
        assert each.turnover == pytest.approx(ours.turnover, rel=0.1)
        fills = each.accounts["a", "S"].fills
        assert {fill.bar for fill in fills} - set(range(400))
        assert not any(fill.closing for fill in fills), "wherever it falls, an order is filled as promptly"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hundred decisions, half of them on a market that the models may remember, some that do not act."""
    made = [
        acting(
            FIRST_MS + n * 20 * STEP_MS,
            ("in_window", "past_cutoff")[n % 2],
            action=Action.BUY if n % 3 else Action.CLOSE,
            symbol="S",
            context_id=str(n),
        )
        for n in range(100)
    ]
    made += [acting(status=Status.ABSTAINED_LOW_CONFIDENCE, action=Action.HOLD, size_pct=0.0) for _ in range(5)]
    made += [acting(symbol="ELSE", context_id="elsewhere")]
    return put(tmp_path / "run", made)


def test_no_figure_is_of_two_cutoffs(folder: Path) -> None:
    trial = tried(folder, {"S": walk(3)}, Costs(), "spot", draws=20)
    assert [(each.cutoff, each.orders) for each in trial.parts] == [("past_cutoff", 50), ("in_window", 50)]
    accounts = [part.curves["decisions"].accounts.values() for part in trial.parts]
    fills = [{fill.order.cutoff for account in own for fill in account.fills if fill.why == "order"} for own in accounts]
    assert fills == [{"past_cutoff"}, {"in_window"}]
    assert trial.statuses == {"ABSTAINED_LOW_CONFIDENCE": 5, "DECIDED": 101} and trial.unmarketed == {"ELSE": 1}
    for part in trial.parts:
        assert set(part.figures) == {"decisions", "HOLD", "buy and hold"} and 0 <= part.chance.beaten <= 1
        assert part.figures["HOLD"].total_return == 0


def test_a_cutoffs_figures_are_of_its_own_time_alone(tmp_path: Path) -> None:
    """A market doubles while a model may remember it, and stands still after that."""
    risen = flat(*np.linspace(100, 200, 100), *([200.0] * 100))
    made = [acting(FIRST_MS + n * STEP_MS, "in_window" if n < 99 else "past_cutoff", symbol="S") for n in (0, 98, 110, 190)]
    past, within = tried(put(tmp_path / "run", made), {"S": risen}, FREE, "spot", draws=20).parts
    assert (past.cutoff, past.figures["buy and hold"].total_return) == ("past_cutoff", 0)
    assert within.figures["buy and hold"].total_return > 0.9
    assert not past.chance.total_returns.any() and within.chance.total_returns.any()


def test_a_page_is_the_same_each_time(tmp_path: Path) -> None:
    """Names of markets stand in their order, whatever order a set of them has."""
    symbols = [f"S{number}" for number in range(9)]
    folder = put(tmp_path / "run", [acting(FIRST_MS, symbol=symbol) for symbol in reversed(symbols)])
    (part,) = tried(folder, dict.fromkeys(symbols, walk(1, 50)), FREE, "spot", draws=20).parts
    assert list(part.markets) == symbols


def test_what_another_cutoff_decides_about_ends_what_is_held(tmp_path: Path) -> None:
    """The price triples when the bot has long sold, by another model."""
    prices = flat(*([100.0] * 60), *([300.0] * 60))
    made = [
        acting(FIRST_MS, "in_window", symbol="S"),
        acting(FIRST_MS + 50 * STEP_MS, "past_cutoff", symbol="S", action=Action.CLOSE),
        acting(FIRST_MS + 110 * STEP_MS, "in_window", symbol="S", action=Action.CLOSE),
    ]
    _, within = tried(put(tmp_path / "run", made), {"S": prices}, FREE, "spot", draws=20).parts
    assert within.figures["decisions"].total_return == 0
    (account,) = within.curves["decisions"].accounts.values()
    assert [each.why for each in account.fills] == ["order", "ceded"]


def test_chance_is_as_long_in_the_market_and_trades_what_was_filled() -> None:
    own = setting(S=flat(*([100.0] * 2_000)))
    pairs = [(order(n, size=1.0), order(n + 2, "CLOSE", 1)) for n in range(0, 400, 4)]
    ours = curve_of({("a", "S"): [*(each for pair in pairs for each in pair), order(5_000)]}, replace(own, costs=Costs()))
    for each in drawn(ours, replace(own, costs=Costs()), 1, 20):
        assert each.turnover == pytest.approx(ours.turnover, rel=0.02)
        assert each.accounts["a", "S"].missed.total() <= 1
        assert each.worth.iloc[-1] == pytest.approx(ours.worth.iloc[-1], rel=0.02)


def test_markets_of_several_candle_lengths_have_points_as_far_apart_as_the_longest() -> None:
    minutes, hours = walk(1, 600), replace(walk(2, 10), step_ms=60 * STEP_MS, opens_ms=FIRST_MS + np.arange(10) * 60 * STEP_MS)
    both = setting(S=minutes, T=hours)
    assert both.periods_per_year == 365 * 24
    assert len(held(both).worth) == 10 and held(both).worth.index.diff().max() == held(both).worth.index.diff().min()


def test_the_page_needs_nothing_else_and_says_what_it_proves(folder: Path) -> None:
    told = page(tried(folder, {"S": walk(3)}, Costs(), "perp", draws=20), {"decisions of": "<run>"})
    assert PROVES in told and "&lt;run&gt;" in told and "<run>" not in told
    assert re.findall(r"<h2>(\w+)</h2>", told) == ["Assumed", "past_cutoff", "in_window"]
    assert not re.findall(r"(?:src|href)=['\"](?!data:)", told) and "<script" not in told
    assert told.count("data:image/png;base64,") == 4 and "funding 1 bps" in told


def test_without_decisions_or_without_their_markets_it_says_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="holds no decision"):
        tried(tmp_path / "nothing", {"S": walk(1)}, Costs(), "spot")
    with pytest.raises(TrialError, match="--candles: none is of a market that was decided on: ELSE, S"):
        tried(folder, {"T": walk(1)}, Costs(), "spot")


def as_export(folder: Path, decisions: int) -> None:
    """The folder as an export that held so many decisions."""
    records = dict.fromkeys(export.TOPICS, 0) | {DECISIONS: decisions}
    shelf.written(folder / export.FILE, export.Export(FIRST_MS, FIRST_MS + 1, (), complete=True, records=records).to_bytes())


def test_the_command_writes_page_and_figures(folder: Path, tmp_path: Path) -> None:
    candles = tmp_path / "s.csv"
    own = walk(3, 2_200)
    rows = zip(own.opens_ms, own.open, own.high, own.low, own.close, strict=True)
    candles.write_text("open_time_ms,open,high,low,close,volume\n" + "".join(f"{','.join(map(str, row))},1\n" for row in rows))
    out = tmp_path / "page.html"
    runner = CliRunner()
    told = ["backtest", str(folder), "--candles", f"S={candles}", "--out", str(out), "--draws", "20"]
    for records, said in ((None, "is no manifest of a replay"), (105, "must be 105 of decisions, as export.json says, not 106")):
        if records is not None:
            as_export(folder, records)
        half = runner.invoke(app, told)
        assert half.exit_code == 2 and said in " ".join(half.stderr.split()), half.stderr
    as_export(folder, 106)
    done = runner.invoke(app, [*told, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["without_candles"] == {"ELSE": 1}
    assert found["parts"]["past_cutoff"]["not_filled"]["nothing to do"] > 0
    assert found["page"] == str(out) and set(found["parts"]) == {"past_cutoff", "in_window"}
    assert out.read_text().startswith("<!doctype html>")
    assert runner.invoke(app, told).exit_code == 0
    twice = ["--candles", f"S={candles}", "--candles", f"S={folder}"]
    unread = ["--candles", f"S={folder}"]
    for wrong, said in ((["--candles", "S"], "must be SYMBOL=FILE"), (twice, "S: is given twice"), (unread, str(folder))):
        bad = runner.invoke(app, ["backtest", str(folder), *wrong, "--out", str(out)])
        assert bad.exit_code == 2 and said in " ".join(bad.stderr.split()), bad.stderr
