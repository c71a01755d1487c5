"""Texts are cut to what they take, never in the middle of a character."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.size import clip, clip_bytes, clip_json, readable

pytestmark = pytest.mark.unit

ANY_TEXT = st.text(st.characters(), max_size=60)


@given(ANY_TEXT, st.integers(min_value=1, max_value=50))
def test_a_clipped_text_is_short_and_can_be_written(text: str, most: int) -> None:
    assert len(clip(text, most)) <= most
    assert len(clip_bytes(text, most).encode()) <= most
    assert len(json.dumps(clip_json(text, most), ensure_ascii=False).encode()) <= most + 2


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_short_text_stays_as_it_is(text: str) -> None:
    assert clip(text, 20) == clip_bytes(text, 80) == clip_json(text, 120) == readable(text) == text


def test_what_was_cut_is_seen() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert clip_json('"' * 10, 5) == '""'
    assert readable("a\ud800") == "a?"
