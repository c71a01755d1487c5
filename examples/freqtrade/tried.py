"""Tries the strategy with freqtrade itself, offline: `python tried.py STORE CANDLES PAIR`, in freqtrade's own environment.

freqtrade's own backtesting runs on these candles; only the exchange is none: its list of markets is written here, since nobody
can be asked for it. One line of JSON says what came of it.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from freqtrade.configuration import Configuration
from freqtrade.data.converter import ohlcv_fill_up_missing_data
from freqtrade.enums import RunMode
from freqtrade.optimize.backtesting import Backtesting
from freqtrade.resolvers import ExchangeResolver
from pandas import DataFrame, read_csv, to_datetime

HERE = Path(__file__).resolve().parent
COLUMNS = ["open", "high", "low", "close", "volume"]


def configuration(folder: Path, store: Path, pair: str) -> dict[str, Any]:
    """What freqtrade is told."""
    config = {
        "dry_run": True, "dry_run_wallet": 10_000, "stake_amount": "unlimited", "stake_currency": pair.split("/")[1],
        "max_open_trades": 1, "exchange": {"name": "binance", "pair_whitelist": [pair], "enable_ws": False},
        "pairlists": [{"method": "StaticPairList"}], "entry_pricing": {"price_side": "other"},
        "exit_pricing": {"price_side": "other"}, "trading_llm_store": str(store),
        "trading_llm_bot_id": "bot",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    told = {
        "config": [str(folder / "config.json")], "strategy": "TradingLlmStrategy", "strategy_path": str(HERE),
        "user_data_dir": str(folder), "fee": 0.001, "export": "none", "exchange": "binance", "datadir": str(folder),
    }  # fmt: skip
    return dict(Configuration(told, RunMode.BACKTEST).get_config())


def market(pair: str) -> dict[str, Any]:
    """A spot market, as an exchange would describe it."""
    base, quote = pair.split("/")
    amounts = {"min": 1e-6, "max": 1e6}
    costs, prices = {"min": 1e-3, "max": None}, {"min": 1e-2, "max": None}
    return {
        "id": base + quote, "symbol": pair, "base": base, "quote": quote, "active": True, "spot": True, "swap": False,
        "type": "spot", "linear": None, "contract": False, "contractSize": None, "taker": 0.001, "maker": 0.001, "info": {},
        "precision": {"amount": 1e-8, "price": 1e-2}, "limits": {"amount": amounts, "cost": costs, "price": prices},
    }  # fmt: skip


def candles(file: Path, pair: str) -> DataFrame:
    """The file's, as freqtrade has them, its gaps filled as it fills them."""
    rows = read_csv(file)
    rows["date"] = to_datetime(rows["open_time_ms"], unit="ms", utc=True)
    return ohlcv_fill_up_missing_data(rows[["date", *COLUMNS]].astype(dict.fromkeys(COLUMNS, float)), "1m", pair)


def tried(store: Path, file: Path, pair: str) -> dict[str, Any]:
    """The trades of freqtrade's backtest, and how long a look at the signals took, ms."""
    with tempfile.TemporaryDirectory() as name:
        config = configuration(Path(name), store, pair)
        exchange = ExchangeResolver.load_exchange(config, validate=False, load_leverage_tiers=False)
        exchange._markets, exchange._last_markets_refresh = {pair: market(pair)}, int(time.time() * 1000)
        testing = Backtesting(config, exchange)
        testing._set_strategy(strategy := testing.strategylist[0])
        data = {pair: candles(file, pair)}
        began_s = time.perf_counter()
        strategy.ft_advise_signals(data[pair].copy(), {"pair": pair})
        looked_ms = (time.perf_counter() - began_s) * 1000
        processed = strategy.advise_all_indicators(data)
        dates = data[pair]["date"]
        found = testing.backtest(
            processed=processed, start_date=dates.iloc[0].to_pydatetime(), end_date=dates.iloc[-1].to_pydatetime()
        )
    trades = found["results"]
    named = ["open_date", "open_rate", "stake_amount", "enter_tag", "close_date", "exit_reason"]
    return {"looked_ms": round(looked_ms, 1), "trades": json.loads(trades[named].to_json(orient="records", date_format="iso"))}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(json.dumps(tried(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
