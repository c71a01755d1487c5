"""What a model must still be asked about: under which policies that would be the same question."""

from __future__ import annotations

import pytest

from replay.missing import asks_otherwise
from schemas.policy import Policy

pytestmark = pytest.mark.unit

OWN = 'default = "deepseek"\n[limits]\nmax_position_pct = 0.1\n'


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", ()),
        ("[models.qwen]\nmin_confidence = 0.9\n", ()),
        ('[models.qwen]\nmode = "label"\n', ("models.qwen.mode",)),
        ("[defaults]\nhorizon_s = 60\n", ("defaults.horizon_s",)),
        ("[features]\nrecent_bars = 5\n", ("features",)),
    ],
)
def test_thresholds_make_no_other_question_and_words_do(more: str, told: tuple[str, ...]) -> None:
    assert asks_otherwise(Policy.from_toml(OWN + more), Policy.from_toml(OWN)) == told
