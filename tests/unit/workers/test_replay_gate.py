"""Replays get what live questions leave of the engine, and nothing while nobody knows what that is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.replay_gate import KV_USE_MAX, QUIET_S, STALE_S, Load, replay_room
from workers.vitals import Vitals

pytestmark = pytest.mark.unit

NOW_S = 1_000.0
FRESH = Vitals(NOW_S, kv_use=0.1)
BUSY = Load(live=4, replayed=2, live_ago_s=0.0)


def room(load: Load = BUSY, vitals: Vitals = FRESH, depth: int = 32) -> int:
    return replay_room(load, 16, depth, vitals, NOW_S)


def test_beside_live_questions_it_fills_three_quarters_of_what_is_computed_at_once() -> None:
    assert room() == 12 - 4 - 2
    assert room(Load(live=12, replayed=0, live_ago_s=0.0)) == 0
    assert room(Load(live=40, replayed=0, live_ago_s=0.0)) == 0


def test_a_moment_without_live_questions_is_not_the_end_of_them() -> None:
    assert room(Load(live=0, replayed=0, live_ago_s=QUIET_S)) == 12
    assert room(Load(live=0, replayed=0, live_ago_s=QUIET_S + 1)) == 32
    assert room(Load(live=0, replayed=30, live_ago_s=math.inf)) == 2


@pytest.mark.parametrize(
    "vitals",
    [
        replace(FRESH, at_s=NOW_S - STALE_S - 0.1),
        replace(FRESH, kv_use=None),
        replace(FRESH, kv_use=KV_USE_MAX),
        replace(FRESH, kv_use=math.inf),
    ],
)
def test_it_is_closed_where_the_cache_is_full_or_nobody_knows(vitals: Vitals) -> None:
    assert room(vitals=vitals) == 0
    assert room(Load(live=0, replayed=0, live_ago_s=math.inf), vitals) == 0


@given(live=st.integers(0, 100), replayed=st.integers(0, 100), ago_s=st.floats(0, 1e6), kv_use=st.floats(0, 1))
def test_live_questions_always_find_a_place(live: int, replayed: int, ago_s: float, kv_use: float) -> None:
    given_ = room(Load(live, replayed, ago_s), replace(FRESH, kv_use=kv_use))
    assert given_ >= 0
    if given_ and (live or ago_s <= QUIET_S):
        assert live + replayed + given_ <= 12 and kv_use < KV_USE_MAX
