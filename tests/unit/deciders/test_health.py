"""How one model is doing: what opens it, what does not, and that it always finds back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deciders import health as numbers
from deciders.endings import Ending, Kind
from deciders.health import Health, Look
from deciders.patience import USUAL, Patience
from deciders.probes import GOOD_MIN, PROBES_MAX
from schemas.status import HealthState

pytestmark = pytest.mark.unit

T0 = 1_700_000_000_000
MODEL = "phi3"
SIGN = Look(members=1)


def healthy(patience: Patience = USUAL) -> Health:
    """A model that has been heard and seen, at T0."""
    health = Health(MODEL, T0, patience)
    health.look(SIGN, T0)
    health.beats(True, "", 20.0, T0)
    health.changes.clear()
    return health


def end(health: Health, kind: Kind, now_ms: int, ms: float = 2_000.0, probe: bool = False) -> None:
    health.ended(Ending(MODEL, kind, ms, probe), now_ms)


def opened(kind: Kind = "hung", now_ms: int = T0) -> Health:
    health = healthy()
    for _ in range(numbers.IN_A_ROW_MAX):
        end(health, kind, now_ms)
    assert health.state is HealthState.OPEN
    return health


def alive(health: Health, now_ms: int) -> None:
    """A second in which nothing is wrong: a heartbeat, a look, and whatever it may be asked is answered."""
    health.look(SIGN, now_ms)
    health.beats(True, "", 20.0, now_ms)
    for number in range(health.probes_left):
        health.sent(f"well/0/{now_ms + number}", now_ms)
        end(health, "answered", now_ms, 20.0, probe=True)
        health.back(f"well/0/{now_ms + number}")
    end(health, "answered", now_ms, 20.0)


@pytest.mark.parametrize("kind", ["hung", "raised", "engine_died", "late"])
def test_a_model_that_answers_nothing_is_opened_after_five_in_a_row(kind: Kind) -> None:
    health = healthy()
    for _ in range(numbers.IN_A_ROW_MAX - 1):
        end(health, kind, T0)
    assert health.state is HealthState.HEALTHY
    end(health, kind, T0)
    assert health.state is HealthState.OPEN
    assert kind in health.reason and health.next_probe_ms == T0 + numbers.WAIT_MS_FIRST


def test_every_other_attempt_that_breaks_opens_once_there_are_ten() -> None:
    health = healthy()
    kinds: list[Kind] = ["answered", "raised"]
    for number in range(numbers.ATTEMPTS_MIN - 1):
        end(health, kinds[number % 2], T0)
        assert health.state is HealthState.HEALTHY
    end(health, "raised", T0)
    assert health.state is HealthState.OPEN


def test_a_tenth_that_breaks_degrades_and_the_window_heals() -> None:
    health = healthy()
    for number in range(20):
        end(health, "raised" if number % 5 == 4 else "answered", T0 + number)
    assert health.state is HealthState.DEGRADED
    for second in range(1, 40):
        alive(health, T0 + second * 1_000)
    assert health.state is HealthState.HEALTHY
    assert [change.state for change in health.changes] == [HealthState.DEGRADED, HealthState.HEALTHY]


def test_a_question_with_less_than_a_fair_time_left_is_not_held_against_it() -> None:
    health = healthy()
    for _ in range(50):
        end(health, "late", T0, ms=numbers.FAIR_MS - 1)
    assert (health.state, health.tally.attempts) == (HealthState.HEALTHY, 0)


def test_fair_is_what_the_model_usually_takes_where_that_is_longer() -> None:
    health = healthy()
    health.beats(True, "", 5_000.0, T0)
    for _ in range(50):
        end(health, "late", T0, ms=4_000.0)
    assert health.state is HealthState.HEALTHY


def test_bad_answers_degrade_and_never_open() -> None:
    health = healthy()
    for _ in range(50):
        end(health, "bad", T0)
    assert health.state is HealthState.DEGRADED


def test_without_a_heartbeat_for_five_seconds_it_is_down_and_with_one_it_is_back() -> None:
    health = healthy()
    for late_ms in range(500, numbers.SILENT_MS_MAX + 1, 500):
        health.beats(False, "no worker's heartbeat", None, T0 + late_ms)
        assert health.state is HealthState.HEALTHY
    health.beats(False, "no worker's heartbeat", None, T0 + numbers.SILENT_MS_MAX + 1)
    assert (health.state, health.reason) == (HealthState.DOWN, "no worker's heartbeat for 5 s")
    health.beats(True, "", None, T0 + 20_000)
    assert health.state is HealthState.HEALTHY


def test_a_model_that_was_never_heard_of_has_ten_seconds_to_come_up() -> None:
    health = Health(MODEL, T0)
    for late_ms in range(0, numbers.FIRST_MS + 1, 500):
        health.look(Look(members=0), T0 + late_ms)
        health.beats(False, "its worker is still loading", None, T0 + late_ms)
        assert health.state is HealthState.HEALTHY
    health.beats(False, "its worker is still loading", None, T0 + numbers.FIRST_MS + 1)
    assert (health.state, health.reason) == (HealthState.DOWN, "its worker is still loading, and its group has no member")


def test_an_answer_is_a_sign_of_life_where_heartbeats_are_missing() -> None:
    health = healthy()
    for second in range(1, 20):
        end(health, "answered", T0 + second * 1_000)
        health.beats(False, "no worker's heartbeat", None, T0 + second * 1_000)
    assert health.state is HealthState.HEALTHY


def test_without_a_member_in_its_group_two_missed_heartbeats_are_enough() -> None:
    health = healthy()
    health.look(Look(members=0), T0 + numbers.LEFT_MS)
    assert health.state is HealthState.HEALTHY
    health.look(Look(members=0), T0 + numbers.LEFT_MS + 1)
    assert (health.state, health.reason.endswith("its group has no member")) == (HealthState.DOWN, True)


def test_that_redis_is_away_brings_nobody_down_and_nobody_back() -> None:
    health = healthy()
    health.no_beats(T0 + 1)
    for second in range(1, 100):
        health.look(SIGN, T0 + second * 1_000)
    assert health.state is HealthState.HEALTHY
    health.look(Look(members=0), T0 + 100_000)
    assert health.state is HealthState.DOWN
    health.no_beats(T0 + 120_000)  # the look is old by now
    assert health.state is HealthState.DOWN


def test_redis_that_comes_back_empty_has_five_seconds_to_be_filled() -> None:
    health = healthy()
    health.no_beats(T0 + 1)
    health.look(SIGN, T0 + 30_000)
    health.beats(False, "no worker's heartbeat", None, T0 + 30_000)
    assert health.state is HealthState.HEALTHY


def test_a_member_that_outlasts_the_session_is_alive_without_heartbeats() -> None:
    health = healthy()
    health.beats(False, "no worker's heartbeat", None, T0 + 6_000)
    assert health.state is HealthState.DOWN
    health.look(SIGN, T0 + USUAL.member_proves_ms + 1)
    assert health.state is HealthState.PROBING


def test_work_that_is_older_than_any_answer_takes_opens_it() -> None:
    health = healthy()
    now_ms = T0 + USUAL.given_up_ms + 1
    health.beats(True, "", None, now_ms)
    health.look(Look(1, 7, float(USUAL.given_up_ms + 1)), now_ms)
    assert (health.state, "of at most 7 the oldest waits 35 s" in health.reason) == (HealthState.OPEN, True)


def test_a_member_proves_no_life_before_a_longer_session_can_have_ended() -> None:
    health = healthy(Patience.of(session_s=300, hung_s=30))
    health.beats(False, "no worker's heartbeat", None, T0 + 6_000)
    health.look(SIGN, T0 + 300_000)
    assert health.state is HealthState.DOWN
    health.look(SIGN, T0 + 310_001)
    assert health.state is HealthState.PROBING


def test_work_is_not_given_up_before_a_slower_engine_can_have_answered() -> None:
    health = healthy(Patience.of(session_s=30, hung_s=120))
    for now_ms, state in ((T0 + 125_000, HealthState.DEGRADED), (T0 + 125_001, HealthState.OPEN)):
        health.beats(True, "", None, now_ms)
        health.look(Look(1, 7, float(now_ms - T0)), now_ms)
        assert health.state is state


def test_three_good_probes_close_it() -> None:
    health = opened()
    for number in range(GOOD_MIN):
        now_ms = T0 + numbers.WAIT_MS_FIRST + number
        health.tick(now_ms)
        assert health.state is HealthState.PROBING
        health.sent(f"contexts/0/{number}", now_ms)
        end(health, "answered", now_ms, probe=True)
        health.back(f"contexts/0/{number}")
    assert health.state is HealthState.HEALTHY


def test_what_was_sent_before_it_was_opened_is_no_probe() -> None:
    health = opened()
    for _ in range(20):
        end(health, "answered", T0)
    health.tick(T0 + numbers.WAIT_MS_FIRST)
    for kind in ("answered", "hung", "late"):
        for _ in range(10):
            end(health, kind, T0 + numbers.WAIT_MS_FIRST)
    assert health.state is HealthState.PROBING


def test_each_probe_that_breaks_doubles_the_wait_up_to_two_minutes() -> None:
    health, now_ms = opened(), T0
    waits = []
    for _ in range(8):
        assert health.next_probe_ms is not None
        waits.append(health.next_probe_ms - now_ms)
        now_ms = health.next_probe_ms
        health.beats(True, "", None, now_ms)
        end(health, "hung", now_ms, probe=True)
    assert waits == [5_000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000, 120_000]


def test_a_probe_without_an_answer_opens_it_again() -> None:
    health = opened()
    now_ms = T0 + numbers.WAIT_MS_FIRST
    health.tick(now_ms)
    health.sent("contexts/0/1", now_ms)
    health.beats(True, "", None, now_ms + USUAL.given_up_ms)
    assert health.state is HealthState.PROBING
    health.beats(True, "", None, now_ms + USUAL.given_up_ms + 1)
    assert (health.state, health.reason) == (HealthState.OPEN, "1 of its probes had no answer")


# -- whatever happens -------------------------------------------------------------------------------------------------

KINDS = st.sampled_from(["answered", "bad", "late", "hung", "raised", "engine_died"])
LOOKS = st.builds(Look, st.integers(0, 2), st.integers(0, 50), st.one_of(st.none(), st.floats(0, 100_000)))
STEPS = st.one_of(
    st.tuples(st.just("ended"), KINDS, st.floats(0, 5_000), st.booleans()),
    st.tuples(st.just("beats"), st.booleans()),
    st.tuples(st.just("no_beats")),
    st.tuples(st.just("look"), LOOKS),
    st.tuples(st.just("sent"), st.integers(0, 9)),
    st.tuples(st.just("back"), st.integers(0, 9)),
    st.tuples(st.just("tick")),
)
SCHEDULES = st.lists(st.tuples(st.integers(0, 20_000), STEPS), max_size=60)


def step(health: Health, what: tuple[object, ...], now_ms: int) -> None:
    match what:
        case ("ended", kind, ms, probe):
            end(health, kind, now_ms, ms, probe)
        case ("beats", ready):
            health.beats(bool(ready), "no worker's heartbeat", None, now_ms)
        case ("no_beats",):
            health.no_beats(now_ms)
        case ("look", look):
            health.look(look, now_ms)
        case ("sent", number):
            if health.probes_left:
                health.sent(f"contexts/0/{number}", now_ms)
        case ("back", number):
            health.back(f"contexts/0/{number}")
        case _:
            health.tick(now_ms)


@given(SCHEDULES)
def test_whatever_happens_each_state_is_explained_and_probes_are_few(schedule: list[tuple[int, tuple[object, ...]]]) -> None:
    health, now_ms = Health(MODEL, T0), T0
    for passed_ms, what in schedule:
        now_ms += passed_ms
        step(health, what, now_ms)
        assert health.probes.out <= PROBES_MAX
        assert health.probes_left == 0 or health.state is HealthState.PROBING
        assert (health.next_probe_ms is not None) == (health.state is HealthState.OPEN)
        if health.next_probe_ms is not None:
            assert 0 < health.next_probe_ms - health.since_ms <= numbers.WAIT_MS_MAX
        assert health.reason and health.since_ms <= now_ms
    states = [change.state for change in health.changes]
    assert all(one is not other for one, other in pairwise(states)), "a change that changes nothing"
    assert health.changes[-1].state is health.state


@given(SCHEDULES)
def test_from_wherever_it_is_a_model_that_is_well_finds_back(schedule: list[tuple[int, tuple[object, ...]]]) -> None:
    health, now_ms = Health(MODEL, T0), T0
    for passed_ms, what in schedule:
        now_ms += passed_ms
        step(health, what, now_ms)
    well_s_max = (numbers.WAIT_MS_MAX + 2 * USUAL.given_up_ms + numbers.WAIT_MS_MAX) // 1_000 + 60
    for second in range(1, well_s_max):
        alive(health, now_ms + second * 1_000)
        if health.state is HealthState.HEALTHY and second > 40:
            break
    assert health.state is HealthState.HEALTHY


@given(st.lists(st.tuples(st.sampled_from(["bad", "answered", "late"]), st.integers(0, 999)), max_size=200))
def test_stale_questions_and_bad_answers_never_take_it_out(attempts: list[tuple[Kind, int]]) -> None:
    health = healthy()
    for number, (kind, ms) in enumerate(attempts):
        now_ms = T0 + 100 * number
        health.beats(True, "", None, now_ms)
        end(health, kind, now_ms, float(ms))
        assert health.state in (HealthState.HEALTHY, HealthState.DEGRADED)


# -- what is not the model's fault ------------------------------------------------------------------------------------


def test_a_router_that_slept_holds_its_own_silence_against_nobody() -> None:
    """It wakes to what Kafka shows and to decisions before it has read a heartbeat: nobody listened meanwhile."""
    health = healthy()
    health.look(SIGN, T0 + 20_000)
    assert health.state is HealthState.HEALTHY
    end(health, "bad", T0 + 20_010)
    health.beats(True, "", 20.0, T0 + 20_100)
    assert health.changes == []


def test_bad_answers_to_old_questions_never_open_it() -> None:
    """A backlog of patient questions, each of which is answered, though badly: that is no worker that has stopped."""
    health = healthy()
    for second in range(1, 120):
        now_ms = T0 + second * 1_000
        health.beats(True, "", 20.0, now_ms)
        health.look(Look(1, 5_000, float(USUAL.given_up_ms + second)), now_ms)
        end(health, "bad", now_ms)
        assert health.state is not HealthState.OPEN, health.reason


def test_a_bad_answer_is_a_sign_of_life_where_heartbeats_are_missing() -> None:
    health = healthy()
    for second in range(1, 20):
        end(health, "bad", T0 + second * 1_000)
        health.beats(False, "no worker's heartbeat", None, T0 + second * 1_000)
    assert health.state is not HealthState.DOWN


def test_what_it_was_asked_before_it_was_well_again_is_not_held_against_it() -> None:
    """Questions that hung in a fault come to an end half a minute later, and its probes may all be answered by then."""
    health = opened("late")
    now_ms = T0 + numbers.WAIT_MS_FIRST
    health.tick(now_ms)
    for number in range(GOOD_MIN):
        health.sent(f"contexts/0/{number}", now_ms)
        end(health, "answered", now_ms, 20.0, probe=True)
        health.back(f"contexts/0/{number}")
    assert health.state is HealthState.HEALTHY
    for _ in range(20):
        health.beats(True, "", 20.0, T0 + 25_000)
        end(health, "hung", T0 + 25_000, ms=30_000.0)
    assert health.state is HealthState.HEALTHY, health.reason


def test_a_living_worker_whose_heartbeats_do_not_arrive_is_not_taken_out_by_its_own_answers() -> None:
    """Its group has a member and whatever it is asked is answered; only its way to Redis is broken."""
    health, refused = Health(MODEL, T0), 0
    for second in range(1, 1_200):
        now_ms = T0 + second * 1_000
        health.look(SIGN, now_ms)
        health.beats(False, "no worker's heartbeat", None, now_ms)
        if second > 120 and second % 20 == 0:
            if health.state in (HealthState.OPEN, HealthState.DOWN):
                refused += 1
                continue
            health.sent(f"contexts/0/{second}", now_ms)
            end(health, "answered", now_ms, 100.0, probe=health.state is HealthState.PROBING)
            health.back(f"contexts/0/{second}")
    assert refused <= 5, f"{refused} of 54 were refused"
