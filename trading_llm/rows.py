"""A decision as one row: of a live table where there is a terminal, else as a plain line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.outcome import Answered, Outcome
from schemas.decision import Decision

COLUMNS = ("time", "symbol", "model", "rule", "status", "action", "confidence", "latency")
WIDTHS = (12, 9, 9, 20, 25, 6, 10, 9)
ROWS_SHOWN_MAX = 20
STYLES = {
    "DECIDED": "green",
    "BLOCKED_BY_RISK": "yellow",
    "ABSTAINED_LOW_CONFIDENCE": "yellow",
    "HALTED": "red",
    "REJECTED": "red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One outcome; `latency_ms` from the context's log time to the decision's, or as its sender measured it."""

    time: str
    symbol: str
    model: str
    rule: str
    status: str
    action: str
    confidence: float | None
    latency_ms: float | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row's texts, in the order of COLUMNS."""
        confidence = "-" if self.confidence is None else f"{self.confidence:.2f}"
        latency = "-" if self.latency_ms is None else f"{self.latency_ms:.0f} ms"
        return (self.time, self.symbol, self.model, self.rule, self.status, self.action, confidence, latency)


def row_of(outcome: Outcome, latency_ms: float | None = None) -> Row:
    """The row of an outcome; a dead letter shows its reason."""
    if not isinstance(outcome, Answered):
        return Row("-", "-", "-", "-", f"dead letter: {outcome.reason}", "-", None, latency_ms)
    decision = Decision.from_bytes(outcome.value)
    return Row(
        time=decision.decided_at[11:23],
        symbol=decision.symbol,
        model=outcome.model or "-",
        rule=decision.route.rule or "-",
        status=decision.status,
        action=decision.action,
        confidence=decision.confidence,
        latency_ms=decision.timings_ms.total if latency_ms is None else latency_ms,
    )


class Rows:
    """Shows rows as they come; what scrolled out of a live table is gone, what was a line stays."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: deque[Row] = deque(maxlen=max(4, min(ROWS_SHOWN_MAX, console.height - 6)))
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._count = 0

    def __enter__(self) -> Self:
        if self._live is None:
            self._console.print(_line(COLUMNS), highlight=False, soft_wrap=True)
        else:
            self._live.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, row: Row) -> None:
        """One row more."""
        self._count += 1
        if self._live is None:
            self._console.print(_line(row.cells), highlight=False, markup=False, soft_wrap=True)
        else:
            self._shown.append(row)
            self._live.update(self._table())

    def _table(self) -> Table:
        table = Table(*COLUMNS, caption=f"{self._count} decisions", box=None, header_style="bold", pad_edge=False)
        for row in self._shown:
            table.add_row(*row.cells, style=STYLES.get(row.status, ""))
        return table


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
