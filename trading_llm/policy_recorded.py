"""Where the recorded contexts of a span up to now lie, at most so many: the newest ones where there are more."""

from __future__ import annotations

from dataclasses import dataclass

from backbone import ledger
from backbone.ledger import Ends
from backbone.settings import Settings
from schemas.topic import CONTEXTS


@dataclass(frozen=True, slots=True)
class Span:
    """Where to begin and to end in each partition of `contexts`; `cut` says that the span held more than was asked for."""

    firsts: Ends
    ends: Ends
    cut: bool


async def span(known: Settings, since_ms: int, most: int) -> Span:
    """The offsets since this moment of the log's clock. Raises Fatal where Kafka is away."""
    firsts = await ledger.begins(known, (CONTEXTS,), since_ms)
    return newest(firsts, await ledger.ends(known, (CONTEXTS,)), most)


def newest(firsts: Ends, ends: Ends, most: int) -> Span:
    """Of each partition the same newest share, so that no key is left out only for where it lies; `most` offsets in all."""
    held = {place: max(0, ends[place] - first) for place, first in firsts.items()}
    total = sum(held.values())
    if total <= most:
        return Span(firsts, ends, cut=False)
    return Span({place: ends[place] - count * most // total for place, count in held.items()}, ends, cut=True)
