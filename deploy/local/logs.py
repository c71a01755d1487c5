"""Where each process of a stack writes, and the end of it."""

from __future__ import annotations

from pathlib import Path

LINES = 15


def logs_of(state_dir: Path) -> Path:
    """Where the logs of the stack in this state directory lie, as `<process>.log`."""
    return state_dir.parent / "logs"


def last_lines(log: Path, count: int = LINES) -> str:
    """The end of a log, for a message."""
    lines = log.read_text(errors="replace").splitlines()[-count:] if log.exists() else []
    if not lines:
        return f"  ({log} is empty)"
    return "\n".join([f"  the last lines of {log}:", *(f"  | {line}" for line in lines)])
