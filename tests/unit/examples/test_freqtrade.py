"""The store between decisions and a strategy: what acts is there once, and a reader never waits."""

from __future__ import annotations

import ast
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from examples.freqtrade import fill
from examples.freqtrade import store as module
from examples.freqtrade.store import READ_S_MAX, Store
from tests.unit.backtest.decisions import acting, put
from tests.unit.backtest.markets import FIRST_MS, STEP_MS

pytestmark = pytest.mark.unit

AS_OF = "2022-12-13T01:00:00.000Z"


def decision(decision_id: str = "one", **fields: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "decision_id": decision_id, "bot_id": "bot", "status": "DECIDED", "symbol": "BTC/USDT", "action": "BUY", "size_pct": 0.1,
        "as_of": AS_OF,        "valid_until": "2022-12-13T01:01:00.000Z", "stop_loss": None, "take_profit": None,
    }  # fmt: skip
    return own | fields


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.db")


def test_what_acts_is_kept_once_under_every_name_of_its_pair(store: Store) -> None:
    assert store.write(decision()) and store.write(decision())
    assert not store.write(decision("held", action="HOLD")) and not store.write(decision("late", status="EXPIRED"))
    for pair in ("BTC/USDT", "BTCUSDT", "btc-usdt"):
        assert [each.decision_id for each in store.between("bot", pair, AS_OF, AS_OF)] == ["one"]
    assert store.between("bot", "ETH/USDT", AS_OF, AS_OF) == [] and store.one("none") is None
    assert store.write(decision("of another bot", bot_id="other"))
    assert [each.decision_id for each in store.between("bot", "BTCUSDT", AS_OF, AS_OF)] == ["one"]
    found = store.one("one")
    assert found is not None and (found.action, found.size_pct, found.stop_loss) == ("BUY", 0.1, None)


def test_they_come_in_the_order_of_their_moments_and_within_the_range(store: Store) -> None:
    for hour in (3, 1, 2, 5):
        store.write(decision(str(hour), as_of=f"2022-12-13T0{hour}:00:00.000Z"))
    found = store.between("bot", "BTCUSDT", "2022-12-13T01:00:00.000Z", "2022-12-13T03:00:00.000Z")
    assert [each.decision_id for each in found] == ["1", "2", "3"]


def test_a_reader_waits_for_no_writer_and_for_no_file(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Store(tmp_path / "absent.db").between("bot", "BTCUSDT", AS_OF, AS_OF) == []
    store.write(decision())
    asked: list[float] = []
    plain: Any = sqlite3.connect

    def connect(*where: Any, timeout: float, **more: Any) -> Any:
        asked.append(timeout)
        return plain(*where, timeout=timeout, **more)

    monkeypatch.setattr(sqlite3, "connect", connect)
    with closing(plain(tmp_path / "store.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA locking_mode=EXCLUSIVE")
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("DELETE FROM decisions")
        began_s = time.monotonic()
        store.between("bot", "BTCUSDT", AS_OF, AS_OF)
        assert asked == [READ_S_MAX] and time.monotonic() - began_s < 100 * READ_S_MAX
        writer.execute("ROLLBACK")
    assert store.one("one") is not None


def test_a_run_fills_it(tmp_path: Path, store: Store) -> None:
    made = [acting(FIRST_MS + n * STEP_MS, symbol="BTCUSDT", decision_id=str(n)) for n in range(3)]
    assert fill.from_run(store, put(tmp_path / "run", made)) == 3
    assert [each.decision_id for each in store.between(made[0].bot_id, "BTC/USDT", "2022", "2023")] == ["0", "1", "2"]


def test_what_freqtrade_loads_of_it_needs_none_of_our_packages() -> None:
    """Its environment has none of them."""
    file = Path(module.__file__)
    tree = ast.parse(file.read_text())
    named = {each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    named |= {name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names}
    assert {(each or "").split(".")[0] for each in named} <= sys.stdlib_module_names
