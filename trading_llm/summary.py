"""What a feed came to: how many outcomes, by model, rule and status, how fast, and what of it does not hold. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gateway.outcome import Answered, Outcome
from schemas.decision import Decision, Status
from schemas.source import Source

MODEL_SHARE_MIN = 0.1  # of all contexts, answered by each model that runs
DECIDED_SHARE_MIN = 0.5


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one feed. `outcomes` counts sources with an outcome, `twice` those with more than one."""

    contexts: int
    outcomes: int
    twice: int
    models: Counter[str]
    rules: Counter[str]
    statuses: Counter[str]
    latencies_ms: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """The line that everything is about."""
        return f"{self.contexts} contexts, {self.outcomes} outcomes, {self.twice} twice"

    def latency_ms(self, share: float) -> float | None:
        """The latency that this share of the answers did not exceed; None where nothing was answered."""
        if not self.latencies_ms:
            return None
        rising = sorted(self.latencies_ms)
        return rising[min(len(rising) - 1, int(share * len(rising)))]

    def flaws(self, contexts: int, models: Collection[str]) -> list[str]:
        """What does not hold of a feed of so many contexts to these models; empty where all does."""
        flaws = []
        if (self.contexts, self.outcomes, self.twice) != (contexts, contexts, 0):
            flaws.append(f"{self.verdict}; it must be {contexts} contexts, {contexts} outcomes, 0 twice")
        for model in models:
            if self.models[model] < MODEL_SHARE_MIN * contexts:
                flaws.append(f"{model} answered {self.models[model]} of {contexts}: less than a tenth")
        if self.statuses[Status.DECIDED] < DECIDED_SHARE_MIN * contexts:
            flaws.append(f"{self.statuses[Status.DECIDED]} of {contexts} are DECIDED: less than half")
        return flaws


def summarise(sent: Collection[Source], outcomes: Iterable[Outcome], latencies_ms: Mapping[Source, float]) -> Summary:
    """The summary of what was sent, from every outcome that the log holds; outcomes of others are left out."""
    own = [outcome for outcome in outcomes if outcome.src in sent]
    times = Counter(outcome.src for outcome in own)
    first = {outcome.src: outcome for outcome in reversed(own)}.values()
    decisions = [Decision.from_bytes(each.value) for each in first if isinstance(each, Answered)]
    return Summary(
        contexts=len(sent),
        outcomes=len(times),
        twice=sum(count > 1 for count in times.values()),
        models=Counter(decision.model.name for decision in decisions if decision.model is not None),
        rules=Counter(decision.route.rule or "none" for decision in decisions),
        statuses=Counter(each.status if isinstance(each, Answered) else f"dead letter: {each.reason}" for each in first),
        latencies_ms=tuple(latencies_ms.values()),
    )


def lines(summary: Summary) -> list[str]:
    """The summary for people."""
    p50, p99 = summary.latency_ms(0.5), summary.latency_ms(0.99)
    speed = "no answer" if p50 is None or p99 is None else f"p50 {p50:.0f} ms, p99 {p99:.0f} ms from sent to read"
    return [
        f"by model   {_counts(summary.models)}",
        f"by rule    {_counts(summary.rules)}",
        f"by status  {_counts(summary.statuses)}",
        f"latency    {speed}",
        summary.verdict,
    ]


def _counts(counter: Counter[str]) -> str:
    pairs = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {count}" for name, count in pairs) or "none"
