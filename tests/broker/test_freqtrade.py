"""The strategy in freqtrade itself, in an environment of its own: it enters and leaves as decided, and in time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka_node import REPOSITORY
from examples.freqtrade.store import Store
from tests.support.peers import environment_of
from tests.unit.examples.test_freqtrade import decision

pytestmark = [pytest.mark.broker, pytest.mark.long, pytest.mark.timeout(900)]  # its environment is made first, once

CANDLES = REPOSITORY / "examples" / "market-data" / "bybit-BTCUSDT-1m-20221213.csv"
TRY_S_MAX = 120


def at(hour: int, decision_id: str, action: str, **fields: Any) -> dict[str, Any]:
    moment = f"2022-12-13T{hour:02d}:00:00.000Z"
    return decision(decision_id, action=action, as_of=moment, valid_until=moment.replace(":00:00.", ":00:59.")) | fields


def test_freqtrade_trades_what_was_decided_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    for each in (
        at(1, "buys", "BUY"),
        at(2, "closes", "CLOSE"),
        at(3, "too late", "BUY", valid_until="2022-12-13T03:00:00.000Z"),
        at(4, "stopped", "BUY", stop_loss=17_137.0),
        at(6, "at its target", "BUY", take_profit=17_200.0),
        at(5, "of another pair", "BUY", symbol="ETHUSDT"),
        at(5, "of another bot", "BUY", bot_id="other"),
        at(7, "gapped through its stop", "BUY", stop_loss=18_000.0),
    ):
        store.write(each)
    python = environment_of("freqtrade") / "bin" / "python"
    command = [python, REPOSITORY / "examples" / "freqtrade" / "tried.py", tmp_path / "store.db", CANDLES, "BTC/USDT"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRY_S_MAX, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    trades = json.loads(done.stdout.splitlines()[-1])["trades"]
    entered = [(each["enter_tag"], each["open_date"][11:16]) for each in trades]
    assert entered == [("buys", "01:00"), ("stopped", "04:00"), ("at its target", "06:00")]
    assert trades[0]["exit_reason"] == "closes" and trades[0]["close_date"][11:16] == "02:00"
    assert trades[1]["exit_reason"] in ("stop_loss", "trailing_stop_loss") and trades[1]["close_date"][11:13] == "04"
    assert trades[2]["exit_reason"] == "take_profit" and trades[2]["close_date"][11:13] == "06"
    assert trades[0]["stake_amount"] == pytest.approx(0.1 * 10_000 * 0.99, rel=0.01), "freqtrade keeps a hundredth back"
