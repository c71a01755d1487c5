"""Two that both want a lane get on, because a fenced one leaves it alone for a while: longer, if the lane is not its own."""

from __future__ import annotations

import sys

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from backbone.reader import FENCED_PAUSE_HEARTBEATS
from backbone.settings import Settings
from backbone.takeover import FENCED_PAUSE_S
from tests.faults.case import Case
from tests.faults.mistakes import IN_THE_MODEL
from tests.model.parties import Contest

pytestmark = pytest.mark.model

ASSIGNED_MS = int(FENCED_PAUSE_HEARTBEATS * Settings().heartbeat_interval_s * 1000)
RESCUER_MS = int(FENCED_PAUSE_S * 1000)
AT_ONCE_MS = 0
TURNS = 400  # of at most three steps of 5 ms: more than two seconds
BURSTS = st.lists(st.integers(1, 3), min_size=TURNS, max_size=TURNS)
QUICK = settings(max_examples=50, deadline=None, database=None, derandomize=True)


@pytest.mark.parametrize("pauses_ms", [(ASSIGNED_MS, RESCUER_MS), (RESCUER_MS, ASSIGNED_MS), (ASSIGNED_MS, ASSIGNED_MS)])
def test_who_is_fenced_leaves_the_lane_alone_and_the_other_gets_on(pauses_ms: tuple[int, int]) -> None:
    @QUICK
    @given(bursts=BURSTS)
    def they_get_on(bursts: list[int]) -> None:
        contest = Contest(pauses_ms)
        contest.run(bursts)
        assert contest.is_done, contest.schedule
        assert sum(party.claims for party in contest.parties) <= 6

    they_get_on()


def test_a_fenced_rescuer_that_claims_again_at_once_is_found() -> None:
    """Planted: both claim again at once, and neither comes to a commit."""
    contest = Contest((AT_ONCE_MS, AT_ONCE_MS))
    contest.run(find(BURSTS, lambda bursts: not done(bursts), settings=settings(QUICK, phases=[Phase.generate, Phase.shrink])))
    assert sum(party.claims for party in contest.parties) > 50, "claims without end"
    assert contest.broker.outcomes == [], "and no outcome"
    sys.stdout.write("\n".join(["", *contest.schedule[:20], "…\n"]))
    case = Case(IN_THE_MODEL, "a_fenced_rescuer_that_claims_again_at_once", fired=1)
    case.figures = {"breaks": "alive", "claims without a commit": sum(party.claims for party in contest.parties)}
    case.keep(True, 0.0)


def done(bursts: list[int]) -> bool:
    contest = Contest((AT_ONCE_MS, AT_ONCE_MS))
    contest.run(bursts)
    return contest.is_done
