"""A process that is started while its broker is away waits for it, for a while."""

from __future__ import annotations

import time

import pytest

from deploy.local.ports import free_port
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.stack import Pipeline

pytestmark = pytest.mark.broker

AWAITED_S_MAX = 30.0


def until_they_wait(processes: list[Running]) -> None:
    """Each has said so, and lives."""
    deadline = time.monotonic() + AWAITED_S_MAX
    while any("broker.awaited " not in process.said() for process in processes):
        assert time.monotonic() < deadline, [process.said() for process in processes]
        time.sleep(0.1)
    assert [process.popen.poll() for process in processes] == [None for _ in processes]


def test_who_starts_while_the_broker_is_away_goes_on_when_it_is_back(pipeline: Pipeline, fresh_topics: Broker) -> None:
    fresh_topics.kill()
    started = [pipeline.router(), pipeline.worker("phi3"), pipeline.gateway()]
    until_they_wait(started)
    assert [process.said().count("broker.awaited ") for process in started] == [1, 1, 1]
    fresh_topics.start_again()
    for process in started:
        process.wait_ready()


def test_who_waits_for_the_broker_ends_at_once_when_told_to(pipeline: Pipeline) -> None:
    nowhere = {"TRADING_LLM_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}"}
    waiting = [pipeline.router(env=nowhere), pipeline.worker("phi3", env=nowhere), pipeline.gateway(env=nowhere)]
    until_they_wait(waiting)
    assert [process.stop() for process in waiting] == [0, 0, 0]


def test_who_waited_in_vain_says_so_in_one_line(pipeline: Pipeline) -> None:
    nowhere = {"TRADING_LLM_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}", "TRADING_LLM_BROKER_WAIT_S": "0.5"}
    waiting = [pipeline.router(env=nowhere), pipeline.worker("phi3", env=nowhere), pipeline.gateway(env=nowhere)]
    assert [process.wait_exit() for process in waiting] == [1, 1, 1]
    for process in waiting:
        said = process.said()
        assert f"broker at {nowhere['TRADING_LLM_KAFKA_BOOTSTRAP']}" in said and "is it up?" in said, said
        assert "Traceback" not in said, said
