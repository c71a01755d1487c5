"""The whole trail of one decision, as a tree for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from schemas.decision import Decision


def tree(decision: Decision, trail: Mapping[str, Any] | None = None) -> Tree:
    """What was asked, how it was routed, what was said, what the limits made of it, and when."""
    headline = f"[bold]{decision.status} {decision.action}[/bold] {_size(decision)}"
    root = Tree(f"{headline}{escape(decision.symbol)} for {escape(decision.bot_id)}")
    if decision.reason:
        root.add(f"reason: {escape(decision.reason)}")
    _named(root, "context", _context(decision, trail or {}))
    _route(root, decision)
    _answer(root, decision)
    _limits(root, decision)
    _named(root, "time", _times(decision))
    for letter in (trail or {}).get("dead_letters", ()):
        root.add(f"dead letter {letter['src']}: {letter['reason']}: {escape(letter['detail'])}")
    return root


def _size(decision: Decision) -> str:
    return f"{decision.size_pct:.2%} of equity, " if decision.acts else ""


def _context(decision: Decision, trail: Mapping[str, Any]) -> dict[str, Any]:
    places = {"lies at": trail.get("src"), "decision at": trail.get("at")}
    return {
        "context_id": decision.context_id,
        "decision_id": decision.decision_id,
        "as of": decision.as_of,
        "price": decision.price_ref,
        "horizon": f"{decision.horizon_s} s",
        "experiment": decision.experiment,
        **places,
    }


def _route(root: Tree, decision: Decision) -> None:
    route = decision.route
    branch = root.add(f"route: rule [bold]{escape(route.rule or '-')}[/bold], {escape(route.reason or 'nothing to choose')}")
    if route.features:
        branch.add("saw " + ", ".join(f"{name} {_plain(value)}" for name, value in route.features.items()))
    for candidate in route.candidates:
        branch.add(f"candidate {candidate.model}: {candidate.state}")
    for attempt in route.attempts:
        branch.add(f"asked {attempt.model}: {attempt.outcome}" + (f" in {attempt.ms:.0f} ms" if attempt.ms is not None else ""))
    if route.halt is not None:
        branch.add(f"halt {route.halt.scope} ({route.halt.mode}): {escape(route.halt.why)}")
    branch.add(f"policy {route.policy or '-'}")


def _answer(root: Tree, decision: Decision) -> None:
    if decision.model is None:
        root.add("no model answered")
        return
    model = decision.model
    adapter = f" with {model.adapter}" if model.adapter else ""
    branch = root.add(
        f"answer of [bold]{model.name}[/bold]: {escape(model.id)} at {escape(model.revision)}{escape(adapter)}, {model.engine}"
    )
    if decision.proposed is not None:
        shown = {name: value for name, value in decision.proposed.model_dump(mode="json").items() if value is not None}
        branch.add("proposed " + ", ".join(f"{name} {value}" for name, value in shown.items()))
    if decision.probs is not None:
        branch.add("probabilities " + ", ".join(f"{name} {value:.3f}" for name, value in decision.probs.model_dump().items()))
    if decision.rationale:
        branch.add(f"“{escape(decision.rationale)}”")
    for failed in decision.generation.failed if decision.generation else ():
        branch.add(f"before that {failed.model} failed: {failed.why}")


def _limits(root: Tree, decision: Decision) -> None:
    confidence = "-" if decision.confidence is None else f"{decision.confidence:.3f}"
    threshold = "none" if decision.route.threshold is None else f"{decision.route.threshold:g}"
    branch = root.add(f"limits: confidence {confidence}, threshold {threshold}")
    for clamp in decision.clamps:
        branch.add(f"{escape(clamp.limit)}: {_plain(clamp.before)} → {_plain(clamp.after)}")
    if decision.stop_loss is not None or decision.take_profit is not None:
        branch.add(f"stop {_plain(decision.stop_loss)}, target {_plain(decision.take_profit)}")


def _times(decision: Decision) -> dict[str, Any]:
    timings = decision.timings_ms
    return {
        "decided at": decision.decided_at,
        "valid until": decision.valid_until,
        "routed": _ms(timings.routed),
        "waited": _ms(timings.waited),
        "answered": _ms(timings.answered),
        "in all": _ms(timings.total),
    }


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} ms"


def _named(root: Tree, name: str, facts: Mapping[str, Any]) -> None:
    branch = root.add(name)
    for key, value in facts.items():
        if value is not None:
            branch.add(f"{key} {escape(str(value))}")


def _plain(value: object) -> str:
    return "-" if value is None else escape(str(value))
