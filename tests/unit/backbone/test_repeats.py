"""What a library says again and again is written once in a while, and nothing else is held back."""

from __future__ import annotations

import logging

import pytest

from backbone.repeats import Repeats

pytestmark = pytest.mark.unit


class Log:
    """A logger whose lines are kept, and its clock."""

    def __init__(self, name: str) -> None:
        self.now_s = 100.0
        self.lines: list[str] = []
        self._logger = logging.Logger(name)
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        handler.addFilter(Repeats("aiokafka", every_s=5.0, clock=lambda: self.now_s))
        self._logger.addHandler(handler)
        self.error = self._logger.error


def test_a_library_that_says_the_same_of_many_is_heard_once_in_a_while_with_how_often() -> None:
    log = Log("aiokafka.consumer.fetcher")
    for node in range(40):
        log.error("no way to %s%%", node)
    log.error("something else")
    log.now_s += 5.0
    log.error("no way to %s%%", 40)
    log.error("no way to %s%%", 41)
    assert log.lines == ["no way to 0%", "something else", "no way to 40% (and 39 times more before)"]


def test_our_own_lines_and_other_libraries_are_never_held_back() -> None:
    for name in ("trading_llm", "aiokafkaesque"):
        log = Log(name)
        log.error("lane.lost")
        log.error("lane.lost")
        assert log.lines == ["lane.lost", "lane.lost"]
