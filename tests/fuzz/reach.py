"""Which lines of the product an input reaches: what reaches a new one is kept, and changed further."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = tuple(f"{ROOT / room}/" for room in ("schemas", "deciders", "router", "workers"))
Line = tuple[str, int, int]  # a file, a line, and the line before it in the same call


class Reached:
    """The steps from line to line that were taken so far, in the rooms that parse and decide."""

    def __init__(self) -> None:
        self.steps: set[Line] = set()

    def adds(self, run: Callable[[], Any]) -> bool:
        """Whether this run takes a step that none before it took. What it raises is raised."""
        before, tracer = len(self.steps), sys.gettrace()
        sys.settrace(self._call)
        try:
            run()
        finally:
            sys.settrace(tracer)
        return len(self.steps) > before

    def _call(self, frame: FrameType, event: str, argument: Any) -> Callable[[FrameType, str, Any], Any] | None:
        file, steps = frame.f_code.co_filename, self.steps
        if not file.startswith(ROOMS):
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                steps.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line
