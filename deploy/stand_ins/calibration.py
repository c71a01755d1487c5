"""How far probabilities that a model gives are from the true ones. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

BINS = 10


class Claim(NamedTuple):
    """A probability that was given for something, and the true one; both 0 to 1."""

    given: float
    true: float


@dataclass(frozen=True, slots=True)
class Bin:
    """All claims whose given probability lies in one tenth: how many, and the means of both."""

    count: int
    given: float
    true: float


def bins(claims: Sequence[Claim]) -> list[Bin]:
    """The claims by tenths of what was given, the lowest first; tenths without any are left out."""
    held: list[list[Claim]] = [[] for _ in range(BINS)]
    for claim in claims:
        held[min(BINS - 1, int(claim.given * BINS))].append(claim)
    return [Bin(len(each), _mean([one.given for one in each]), _mean([one.true for one in each])) for each in held if each]


def calibration_error(claims: Sequence[Claim]) -> float:
    """The expected calibration error: how far given and true are apart in each bin, by their size. ValueError without claims."""
    if not claims:
        raise ValueError("claims: there must be at least one")
    return math.fsum(each.count * abs(each.given - each.true) for each in bins(claims)) / len(claims)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
