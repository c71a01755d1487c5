"""vLLM leaves a ZeroMQ context to the collector: that alone is let through the strict filter of warnings."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore:Unclosed context <zmq:ResourceWarning")
