"""What rounds of one way came to: a figure a round, and their medians."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.load import Offered


@dataclass(slots=True)
class Measured:
    """A figure a round. CPU is a question's, children included: of the processes themselves, of the broker, and of both."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    own_cpu_ms: list[float] = field(default_factory=list)
    broker_cpu_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def add(self, offered: Offered, own_cpu_s: float, broker_cpu_s: float) -> None:
        """Take a round in."""
        took = sorted(offered.latencies_ms) or [float("inf")]
        self.p50_ms.append(percentile(took, 0.5))
        self.p99_ms.append(percentile(took, 0.99))
        self.answered.append(offered.answered)
        self.per_s.append(offered.sent / offered.seconds)
        self.own_cpu_ms.append(own_cpu_s / offered.sent * 1000)
        self.broker_cpu_ms.append(broker_cpu_s / offered.sent * 1000)
        self.cpu_ms.append((own_cpu_s + broker_cpu_s) / offered.sent * 1000)

    def medians(self) -> dict[str, float]:
        """The median of each figure over the rounds."""
        return {name: round(statistics.median(getattr(self, name)), 3) for name in self.__dataclass_fields__}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of them lies, of values in order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
