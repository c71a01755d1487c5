"""What decisions ask a market for: the acting ones of a run or an export, each with when it may be filled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deciders.identity import Cutoff
from replay import shelf
from schemas.action import Action
from schemas.canonical import parse_rfc3339
from schemas.context import TTL_MS_MAX
from schemas.decision import Decision
from schemas.topic import DECISIONS


@dataclass(frozen=True, slots=True)
class Order:
    """A decision that acts. It may be filled from `moment_ms` until before `until_ms`, both epoch ms in the market's time.

    `size` is the notional to add, a fraction of equity; `stop`, `target` are prices. `price` is what the bot saw.
    """

    decision_id: str
    account: tuple[str, str]  # bot and symbol
    action: Action
    size: float
    stop: float | None
    target: float | None
    price: float | None
    moment_ms: int
    until_ms: int
    as_of_ms: int  # up to when it knows its market
    model: str
    cutoff: Cutoff
    cedes: bool = False  # it ends what is held, since the market is another one's from here on

    @property
    def symbol(self) -> str:
        """What it is about."""
        return self.account[1]


@dataclass(frozen=True, slots=True)
class Told:
    """A decision, as far as a backtest counts it: its status, its market and moment, and the order where it acts."""

    status: str
    cutoff: Cutoff | None
    symbol: str
    as_of_ms: int | None
    order: Order | None


def told_of(folder: Path) -> Iterator[Told]:
    """Every decision of a run or of an export. Raises Damaged."""
    for book in shelf.books(folder, DECISIONS):
        for record in shelf.read(folder, book):
            decision = Decision.from_bytes(record.value)
            model = decision.model
            cutoff: Cutoff | None = None if model is None else model.cutoff
            as_of_ms = None if decision.as_of is None else parse_rfc3339(decision.as_of)
            yield Told(decision.status, cutoff, decision.symbol, as_of_ms, order_of(decision) if decision.acts else None)


def order_of(decision: Decision) -> Order:
    """The order that an acting decision is."""
    assert decision.model is not None and decision.as_of is not None and decision.valid_until is not None, "it does not act"
    moment_ms, until_ms = _life_ms(decision)
    return Order(
        decision.decision_id,
        (decision.bot_id, decision.symbol),
        decision.action,
        decision.size_pct,
        decision.stop_loss,
        decision.take_profit,
        decision.price_ref or None,
        moment_ms,
        until_ms,
        parse_rfc3339(decision.as_of),
        decision.model.name,
        decision.model.cutoff,
    )


LATENESS_MS_MAX: Final = TTL_MS_MAX  # a decision is over by then: what was decided later was decided about history


def _life_ms(decision: Decision) -> tuple[int, int]:
    """From when to when it acts, in the market's time.

    Where history was asked about, the clock of the deciding is another one than the market's: then it comes as long after `as_of`
    as the model took (a replay's place in the queue says nothing), and lives as long as it would have.
    """
    as_of_ms, decided_ms = parse_rfc3339(decision.as_of or ""), parse_rfc3339(decision.decided_at)
    until_ms, timings = parse_rfc3339(decision.valid_until or ""), decision.timings_ms
    if 0 <= decided_ms - as_of_ms <= LATENESS_MS_MAX and decided_ms < until_ms:
        return decided_ms, until_ms
    told_ms = until_ms - as_of_ms
    life_ms = told_ms if 0 < told_ms <= TTL_MS_MAX else until_ms - decided_ms + int(timings.total or 0)
    return as_of_ms + int(timings.answered or 0), as_of_ms + life_ms
