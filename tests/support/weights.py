"""Every context that tests send weighs something at random: what the outcomes weigh must add up to what was sent.

It looks at no source, no id and no key, so that it sees what those who count by them might overlook together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from schemas.record import Record

WRONG_SUM = "wrong sum: the outcomes do not weigh what the contexts weigh"
_WEIGHT = re.compile(rb'"experiment": ?"w(\d+)-')  # as `tests/support/feed.py` writes it, and as a decision carries it on


def weight(record: Record) -> int:
    """What it weighs; 0 where it carries no weight."""
    found = _WEIGHT.search(record.value)
    return 0 if found is None else int(found[1])


def wrong_sum(contexts: Iterable[Record], outcomes: Iterable[Record]) -> str | None:
    """Both sums where they differ."""
    sent, came = sum(map(weight, contexts)), sum(map(weight, outcomes))
    return None if sent == came else f"{sent} sent, {came} came"
