"""How long each phase of something took."""

from __future__ import annotations

import time
from collections.abc import Callable


class Phases:
    """Phases that follow each other from the moment this is made; `seconds` has those that have ended, by name with `_s`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since_s = clock, clock()
        self.seconds: dict[str, float] = {}

    def end(self, name: str) -> None:
        """The phase of this name ends now, and the next one begins."""
        now_s = self._clock()
        self.seconds[f"{name}_s"] = round(now_s - self._since_s, 3)
        self._since_s = now_s
