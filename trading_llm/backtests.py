"""`trading-llm backtest`: what decisions would have come to on the candles of their markets."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from replay import export, plan
from replay.candles import CandleError
from replay.export import ExportError
from replay.shelf import Damaged
from trading_llm import say
from trading_llm.exits import DidNotHold, WrongUse
from trading_llm.market_files import market_files

if TYPE_CHECKING:
    from backtest.trial import Part

NEEDED = ("empyrical", "matplotlib", "pandas")
Folder = Annotated[Path, typer.Argument(help="A run's folder or manifest.json, or an export.", show_default=False)]
Candles = Annotated[
    list[str], typer.Option(metavar="SYMBOL=FILE", help="A market's candles; may be given again.", show_default=False)
]
Out = Annotated[Path, typer.Option(help="The page to write.")]
Market = Annotated[Literal["spot", "perp"], typer.Option(help="Whether one may be short, and pays funding.")]
Bps = Annotated[float, typer.Option(min=0, max=1_000, help="Hundredths of a percent.")]
Draws = Annotated[int, typer.Option(min=20, max=1_000, help="How often chance is tried.")]


def backtest(
    folder: Folder,
    candles: Candles,
    out: Out = Path("backtest.html"),
    market: Market = "spot",
    fee_bps: Bps = 10.0,
    slippage_bps: Bps = 5.0,
    funding_bps: Bps = 1.0,
    draws: Draws = 100,
    json: say.Json = False,
) -> None:
    """Trade what was decided on these candles, and write a page: beside HOLD, buy-and-hold and chance, each cut-off by itself."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise WrongUse(f"{', '.join(missing)}: not installed here: run `make setup-backtest`")
    from backtest.bars import Bars
    from backtest.costs import Costs
    from backtest.report import page
    from backtest.trial import TrialError, tried

    own = folder.parent if folder.name == plan.FILE else folder
    try:
        about = _about(own)
        markets = {symbol: Bars.read(path) for symbol, path in market_files("--candles", candles).items()}
        trial = tried(own, markets, Costs(fee_bps, slippage_bps, funding_bps), market, draws)
        out.write_text(page(trial, about), encoding="utf-8")
    except (TrialError, CandleError, plan.PlanError, ExportError) as error:
        raise WrongUse(str(error)) from None
    except Damaged as error:
        raise DidNotHold(str(error)) from None
    except OSError as error:
        raise DidNotHold(f"{out} cannot be written: {error}") from None
    if json:
        parts = {each.cutoff: _document(each) for each in trial.parts}
        told = {"statuses": dict(trial.statuses), "without_candles": dict(trial.unmarketed)}
        say.document({"page": str(out), **told, "parts": parts})
        return
    for part in trial.parts:
        rows = [(name, _percent(own.total_return), _percent(own.max_drawdown), own.trades) for name, own in part.figures.items()]
        title = f"{part.cutoff}: {part.orders} orders, {part.missed.total()} not filled"
        say.table(title, ("", "gain", "deepest fall", "trades"), rows)
    for symbol, count in trial.unmarketed.items():
        print(f"{count} orders on {symbol} lie outside of the candles that were given")
    print(out)


def _document(part: Part) -> dict[str, Any]:
    figures = {name: asdict(each) for name, each in part.figures.items()}
    orders = {"orders": part.orders, "not_filled": dict(part.missed), "models": dict(part.models)}
    return {**orders, "beaten": part.chance.beaten, "figures": figures}


def _percent(fraction: float) -> str:
    return f"{100 * fraction:+.2f} %"


def _about(folder: Path) -> dict[str, str]:
    """What a run's manifest says of it; of an export where it lies. Raises PlanError and ExportError where it is not whole."""
    if (folder / export.FILE).exists():
        export.require_whole(folder)
        return {"decisions of": folder.name}
    told: dict[str, Any] = plan.read_manifest(folder)
    masked = ", its contexts masked" if told.get("mask") else ""
    return {"decisions of": f"run {told['run_id']}, engine {told['engine']}{masked}", "digest": told["root_digest"]}
