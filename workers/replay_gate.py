"""How many replayed questions the engine may have beside the live ones. Pure; where numbers are missing or old: none."""

from __future__ import annotations

from dataclasses import dataclass

from workers.vitals import Vitals

STALE_S = 2.0  # a busy engine speaks after each step: 10 to 200 ms, and a long prompt's second
KV_USE_MAX = 0.75  # the last quarter is for live questions: without free blocks they would wait, or throw others out
SHARE = 0.75  # of what the engine computes at once: a live question finds a place there and starts with the next step
QUIET_S = 10.0  # without a live question for so long, replays have the whole engine: one may then wait for a replayed one's end


@dataclass(frozen=True, slots=True)
class Load:
    """Whose questions there are. `live` has those that wait for the engine, too."""

    live: int
    replayed: int
    live_ago_s: float  # since the last live question came


def replay_room(load: Load, concurrency: int, depth: int, vitals: Vitals, now_s: float) -> int:
    """How many more replayed questions may be asked now; `depth` is what the engine may have where it is theirs alone."""
    if now_s - vitals.at_s > STALE_S or vitals.kv_use is None or vitals.kv_use >= KV_USE_MAX:
        return 0
    quiet = not load.live and load.live_ago_s > QUIET_S
    most = depth if quiet else max(1, int(SHARE * concurrency))
    return max(0, most - load.live - load.replayed)
