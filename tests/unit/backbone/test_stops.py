"""Stop points act at the visit they were armed for, once, and are nothing otherwise."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from backbone.errors import Fatal, Transient
from backbone.stops import NAMES, arm, reach

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_nothing_happens_where_none_is_armed(caplog: pytest.LogCaptureFixture) -> None:
    for name in NAMES:
        reach(name)
    assert not [line for line in caplog.messages if "stop.fired" in line]


def test_it_acts_at_the_visit_it_was_armed_for_and_never_again() -> None:
    arm("lane.after_begin=raise@3")
    reach("lane.after_begin")
    reach("lane.after_produce")
    reach("lane.after_begin")
    with pytest.raises(Transient, match=r"lane\.after_begin"):
        reach("lane.after_begin")
    for _ in range(5):
        reach("lane.after_begin")


def test_without_a_number_it_acts_at_the_first_visit() -> None:
    arm("read.after_poll=cancel")
    with pytest.raises(asyncio.CancelledError):
        reach("read.after_poll")


def test_it_says_that_it_fired(caplog: pytest.LogCaptureFixture) -> None:
    arm("revoke.inside=raise")
    with pytest.raises(Transient):
        reach("revoke.inside")
    assert "stop.fired name=revoke.inside action=raise" in caplog.text


@pytest.mark.parametrize("text", ["nowhere=kill", "lane.after_begin", "lane.after_begin=explode"])
def test_one_that_does_not_exist_is_refused_with_those_that_do(text: str) -> None:
    with pytest.raises(Fatal, match=r"claim\.after_fence"):
        arm(text)


def test_kill_is_sigkill() -> None:
    code = "from backbone.stops import arm, reach; arm('claim.after_fence=kill'); reach('claim.after_fence'); print('lives')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-9, b"")
