"""How long the engine takes for one answer, by this worker's own measurement. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from deciders.answer import AnswerMode

REMEMBERED = 512  # newest answers, whatever their mode: what a heartbeat says
REMEMBERED_MODE = 64  # newest answers of a mode: so few that a model which becomes quicker is believed soon
KNOWN_AFTER = 8  # answers; before, nothing is usual
FLOOR_MS = 5.0  # the transaction that writes a decision takes about as long by itself: nothing can be answered in less


class ServiceTimes:
    """The newest answers' times. One token and a whole sentence differ by far, so each mode has its own."""

    def __init__(self) -> None:
        self._all: deque[float] = deque(maxlen=REMEMBERED)
        self._of: dict[AnswerMode, deque[float]] = {mode: deque(maxlen=REMEMBERED_MODE) for mode in ("full", "label")}

    def note(self, mode: AnswerMode, took_ms: float, turns: float) -> None:
        """An answer took so long, while each place in the engine was asked for by so many questions."""
        service_ms = took_ms / max(1.0, turns)
        self._all.append(service_ms)
        self._of[mode].append(service_ms)

    def median_ms(self) -> float | None:
        """Of all modes as they were asked; None where there was no answer yet."""
        return _median(self._all)

    def needed_ms(self, mode: AnswerMode) -> float:
        """What an answer of this mode usually takes, and never less than anything does."""
        known = self._of[mode]
        return max(FLOOR_MS, _median(known) or 0.0) if len(known) >= KNOWN_AFTER else FLOOR_MS


def _median(values: Collection[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
