"""A freqtrade strategy that does what trading-llm decided. The file of decisions is `trading_llm_store` in its configuration,
whose decisions they are `trading_llm_bot_id`.

It reads a local file and nothing else, so its loop never waits; each entry's tag is the `decision_id`, by which
`trading-llm explain` tells why.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy, stoploss_from_absolute, timeframe_to_seconds
from pandas import DataFrame, Timedelta, Timestamp

sys.path.insert(0, str(Path(__file__).parent))
from store import Decided, Store  # freqtrade loads this file alone


class TradingLlmStrategy(IStrategy):
    """Buys, sells and closes as decided; what was decided too late is not acted on."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    can_short = False
    process_only_new_candles = False  # a decision comes some hundred milliseconds after its candle
    startup_candle_count = 0
    minimal_roi = {"0": 100.0}  # noqa: RUF012 - freqtrade's name; never by itself
    stoploss = -0.99
    use_custom_stoploss = True
    position_adjustment_enable = False

    def bot_start(self, **kwargs: Any) -> None:
        """Find the file."""
        self.store = Store(Path(self.config["trading_llm_store"]))

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """None: the decision is the signal."""
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """A BUY on the candle that it was decided about."""
        return self._marked(dataframe, metadata["pair"], ("BUY",), "enter_long", "enter_tag")

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """A SELL or a CLOSE likewise."""
        return self._marked(dataframe, metadata["pair"], ("SELL", "CLOSE"), "exit_long", "exit_tag")

    def confirm_trade_entry(self, pair: str, order_type: str, amount: float, rate: float, time_in_force: str,
                            current_time: datetime, entry_tag: str | None, side: str, **kwargs: Any) -> bool:  # fmt: skip
        """Not after its time, by the trade's own clock."""
        decided = self.store.one(entry_tag or "")
        if decided is None or (decided.stop_loss is not None and rate <= decided.stop_loss):
            return False  # freqtrade takes a stop that is passed already for none
        return self._in_time(decided, current_time)

    def confirm_trade_exit(self, pair: str, trade: Trade, order_type: str, amount: float, rate: float, time_in_force: str,
                           exit_reason: str, current_time: datetime, **kwargs: Any) -> bool:  # fmt: skip
        """Likewise where it was decided; stops and targets are always in time."""
        decided = self.store.one(exit_reason)
        return decided is None or self._in_time(decided, current_time)

    def custom_stake_amount(self, pair: str, current_time: datetime, current_rate: float, proposed_stake: float,
                            min_stake: float | None, max_stake: float, leverage: float, entry_tag: str | None,
                            side: str, **kwargs: Any) -> float:  # fmt: skip
        """The fraction of all that there is, as decided."""
        decided = self.store.one(entry_tag or "")
        if decided is None or self.wallets is None:
            return 0.0
        return min(max_stake, decided.size_pct * self.wallets.get_total_stake_amount())

    def custom_stoploss(self, pair: str, trade: Trade, current_time: datetime, current_rate: float,
                        current_profit: float, after_fill: bool, **kwargs: Any) -> float | None:  # fmt: skip
        """The decision's stop, which is a price."""
        decided = self.store.one(trade.enter_tag or "")
        if decided is None or decided.stop_loss is None:
            return None
        return stoploss_from_absolute(decided.stop_loss, current_rate, is_short=trade.is_short, leverage=trade.leverage)

    def custom_exit(self, pair: str, trade: Trade, current_time: datetime, current_rate: float,
                    current_profit: float, **kwargs: Any) -> str | None:  # fmt: skip
        """At the decision's target or beyond its stop, which are prices: a stop that a gap passed is none to freqtrade."""
        decided = self.store.one(trade.enter_tag or "")
        if decided is not None and decided.take_profit is not None and current_rate >= decided.take_profit:
            return "take_profit"
        return "stop" if decided is not None and decided.stop_loss is not None and current_rate <= decided.stop_loss else None

    @staticmethod
    def _in_time(decided: Decided, now: datetime) -> bool:
        return now.astimezone(UTC) < datetime.fromisoformat(decided.valid_until)

    def _marked(self, dataframe: DataFrame, pair: str, actions: tuple[str, ...], signal: str, tag: str) -> DataFrame:
        closes = dataframe["date"] + Timedelta(seconds=timeframe_to_seconds(self.timeframe))
        dataframe[signal], dataframe[tag] = 0, None
        if closes.empty:
            return dataframe
        found = (each for each in self._decided(pair, closes.iloc[0], closes.iloc[-1]) if each.action in actions)
        tags = closes.map({Timestamp(each.as_of): each.decision_id for each in found})
        dataframe[signal], dataframe[tag] = tags.notna().astype(int), tags.astype(object).where(tags.notna(), None)
        return dataframe

    def _decided(self, pair: str, first: Any, last: Any) -> list[Decided]:
        span = (f"{each:%Y-%m-%dT%H:%M:%S}.000Z" for each in (first, last))
        return self.store.between(self.config["trading_llm_bot_id"], pair, *span)
