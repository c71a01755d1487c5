"""Phases follow each other without a gap."""

from __future__ import annotations

import pytest

from workers.phases import Phases

pytestmark = pytest.mark.unit


def test_each_phase_has_its_own_seconds() -> None:
    at_s = iter([10.0, 11.5, 11.75])
    phases = Phases(lambda: next(at_s))
    phases.end("verify")
    phases.end("load")
    assert phases.seconds == {"verify_s": 1.5, "load_s": 0.25}
