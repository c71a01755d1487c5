"""What another policy would have changed: both tried on each context, and the differences counted. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.context import ContextEvent, read_context
from schemas.policy import Policy
from schemas.record import Record
from schemas.refusal import DeadLettered, Rejected
from trading_llm.policy_choice import Ground, choose

EXAMPLES_MAX: Final = 5
REJECTED: Final = "REJECTED"
NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class _Sent:
    """Where one policy sends a context, and what holds for its answer there."""

    model: str
    rule: str | None
    terms: tuple[Any, ...] = ()


@dataclass(slots=True)
class Difference:
    """Counts as contexts are taken in.

    `refused`: dead letters and what breaks the contract; no policy sees them. `other_terms`: the same model would be asked, under
    another threshold, mode, limit or time.
    """

    old: Policy
    new: Policy
    ground: Ground
    contexts: int = 0
    refused: int = 0
    changed: int = 0
    other_terms: int = 0
    by_model: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_rule: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def take(self, record: Record) -> None:
        """Try both policies on this context."""
        self.contexts += 1
        try:
            event = read_context(record)
        except (DeadLettered, Rejected):
            self.refused += 1
            return
        before, after = (self._sent(event, record, policy) for policy in (self.old, self.new))
        if before.model != after.model:
            self._changed(event, record, before, after)
        elif before.terms != after.terms:
            self.other_terms += 1

    def document(self) -> dict[str, Any]:
        """All of it, the most frequent changes first."""
        return {
            "contexts": self.contexts,
            "refused": self.refused,
            "changed": self.changed,
            "other_terms": self.other_terms,
            "by_model": [{"from": a, "to": b, "contexts": count} for (a, b), count in self.by_model.most_common()],
            "by_rule": [{"from": a, "to": b, "contexts": count} for (a, b), count in self.by_rule.most_common()],
            "examples": self.examples,
        }

    def _sent(self, event: ContextEvent, record: Record, policy: Policy) -> _Sent:
        try:
            choice = choose(event, record, policy, self.ground)
        except Rejected:
            return _Sent(REJECTED, None)
        question, route = choice.question, choice.made.route
        terms = (choice.mode, choice.terms, policy.limits, question.valid_until_ms, question.horizon_s)
        return _Sent(choice.model or NOBODY, route.rule, terms)

    def _changed(self, event: ContextEvent, record: Record, before: _Sent, after: _Sent) -> None:
        self.changed += 1
        self.by_model[before.model, after.model] += 1
        self.by_rule[before.rule, after.rule] += 1
        if len(self.examples) < EXAMPLES_MAX:
            ways = {name: {"model": sent.model, "rule": sent.rule} for name, sent in (("from", before), ("to", after))}
            self.examples.append({"src": str(record.source), "bot_id": event.bot_id, "symbol": event.symbol, **ways})
