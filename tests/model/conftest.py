"""The model's bitmap is small, so that its end is come to."""

from __future__ import annotations

import pytest

from tests.model.machine import WINDOW


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window of eight offsets, wherever it is used."""
    for module in ("backbone.progress", "backbone.lane_state"):
        monkeypatch.setattr(f"{module}.WINDOW_OFFSETS", WINDOW)
