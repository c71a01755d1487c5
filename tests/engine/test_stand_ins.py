"""The stand-ins, asked as they are served, follow the rules they were taught on questions they never saw."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.stand_ins.evaluate import HEADINGS

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(("name", "agreement_min"), [("deepseek", 0.75), ("qwen", 0.8), ("fingpt", 0.8), ("phi3", 0.8)])
def test_a_stand_in_follows_its_rule_and_always_writes_a_valid_answer(name: str, agreement_min: float) -> None:
    command = [sys.executable, "-m", "deploy.stand_ins.evaluate", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-2_000:]
    row = dict(zip(HEADINGS, done.stdout.splitlines()[-1].split("\t"), strict=True))
    assert float(row["rule"]) >= agreement_min
    assert float(row["valid"]) == 1.0
    assert float(row["label"]) >= 0.98  # float sums depend on the batch: a tie may fall either way
    assert float(row["ECE"]) <= 0.1
    assert float(row["passed"]) >= 0.5
