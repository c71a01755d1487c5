"""Named places where a test can make this process die, pause or fail; without its switch they are nothing.

`TRADING_LLM_STOP_POINTS="lane.after_begin=kill@3,read.after_poll=raise"`: at the third visit of the first die by SIGKILL,
at the first visit of the second raise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from dataclasses import dataclass

from backbone.errors import Fatal, Transient

log = logging.getLogger(__name__)

IN_A_LANE = frozenset({
    "claim.after_fence", "claim.after_offset", "read.after_poll", "decide.after_answer", "lane.after_begin",
    "lane.after_produce", "lane.after_offsets", "lane.before_end", "lane.after_end", "revoke.inside",
})  # fmt: skip
BETWEEN_FILES = frozenset({"export.after_file", "replay.after_ask", "replay.after_chunk", "replay.after_outcome"})
NAMES = IN_A_LANE | BETWEEN_FILES
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(slots=True)
class _Stop:
    action: str
    visits_left: int


_armed: dict[str, _Stop] = {}


def arm(text: str) -> None:
    """Switch on the stop points that `text` names; Fatal where it names none that exist."""
    _armed.clear()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, rest = part.partition("=")
        action, _, visit = rest.partition("@")
        if name not in NAMES or action not in {*SIGNALS, "raise", "cancel"}:
            raise Fatal(f"stop point {part!r}: want one of {sorted(NAMES)} = kill, stop, raise or cancel")
        _armed[name] = _Stop(action, int(visit or 1))


def reach(name: str) -> None:
    """Stand at a stop point; acts once, at the visit it was armed for."""
    if not _armed or (stop := _armed.get(name)) is None:
        return
    stop.visits_left -= 1
    if stop.visits_left:
        return
    log.warning("stop.fired name=%s action=%s", name, stop.action)
    if stop.action in SIGNALS:
        os.kill(os.getpid(), SIGNALS[stop.action])
    elif stop.action == "cancel":
        raise asyncio.CancelledError
    else:
        raise Transient(f"stop point {name}")
