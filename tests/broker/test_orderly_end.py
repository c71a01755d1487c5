"""A process that is told to end ends in order, and its exit code says so."""

from __future__ import annotations

import pytest

from tests.support.stack import Pipeline

pytestmark = pytest.mark.broker


def test_every_process_exits_with_0_on_sigterm(pipeline: Pipeline) -> None:
    started = [pipeline.router(), pipeline.worker("phi3"), pipeline.gateway()]
    for process in started:
        process.wait_ready()
    assert [process.stop() for process in started] == [0, 0, 0]
    assert all("Traceback" not in process.said() for process in started)
