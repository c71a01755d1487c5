"""Another judge, written by somebody else, of the same pipeline: TEST_SECOND_JUDGE is its command, with {} for the broker.

It exits with 0 where the pipeline's logs hold, with 1 where they do not, and with anything else where it could not judge.
"""

from __future__ import annotations

import os
import shlex
import subprocess

COMMAND = os.environ.get("TEST_SECOND_JUDGE", "")
JUDGING_S_MAX = 240.0
HOLDS, FAULTS = "holds", "faults"


def opinion(bootstrap: str) -> str | None:
    """`holds`, `faults`, or why it could not judge; None where there is no second judge."""
    if not COMMAND:
        return None
    command = [part.replace("{}", bootstrap) for part in shlex.split(COMMAND)]
    try:
        judged = subprocess.run(command, capture_output=True, text=True, timeout=JUDGING_S_MAX, check=False)
    except subprocess.TimeoutExpired:
        return f"no verdict within {JUDGING_S_MAX:.0f} s"
    by_code = {0: HOLDS, 1: FAULTS}
    word = (judged.stderr or judged.stdout).strip()[-200:] or "without a word"
    return by_code.get(judged.returncode, f"exit {judged.returncode}: {word}")
