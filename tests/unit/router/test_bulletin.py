"""Whoever takes the right to say how models do over says whatever it sees otherwise than was said before."""

from __future__ import annotations

import time
from typing import Any

import pytest

from backbone.settings import Settings
from deciders.health import Change
from router import bulletin as module
from router.bulletin import LISTENS_S, Bulletin
from schemas.canonical import rfc3339
from schemas.record import Record
from schemas.source import Source
from schemas.status import HealthState, ModelStatus
from tests.unit.samples import LOGGED_MS

pytestmark = pytest.mark.unit

MODEL = "qwen"


def said(state: HealthState, next_probe_ms: int | None) -> Record:
    next_probe = None if next_probe_ms is None else rfc3339(next_probe_ms)
    status = ModelStatus(name=MODEL, state=state, reason="hung 5", since=rfc3339(LOGGED_MS), next_probe=next_probe)
    return Record(Source("models.status", 0, 1), MODEL.encode(), status.model_dump_json().encode(), (), LOGGED_MS)


@pytest.mark.parametrize(("next_probe_ms", "told"), [(LOGGED_MS + 5_000, 0), (LOGGED_MS + 120_000, 1)])
def test_a_successor_that_tries_an_open_model_at_another_time_says_so(
    next_probe_ms: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else people read a time that has passed, of a model that is out for two minutes more."""
    monkeypatch.setattr(module, "Tail", lambda *given, **more: None)
    bulletin: Any = Bulletin(Settings())
    bulletin._heard(said(HealthState.OPEN, LOGGED_MS + 5_000))
    bulletin.changed(Change(MODEL, HealthState.OPEN, "hung 5", LOGGED_MS, next_probe_ms))
    bulletin._held_s = time.monotonic() - LISTENS_S
    bulletin._take_over()
    assert len(bulletin._untold) == told
