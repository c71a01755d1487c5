"""Why a policy chooses as it does, as one document and as a tree for people."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.tree import Tree

from schemas.policy import Policy, Rule
from schemas.route import Feature
from trading_llm.policy_choice import Choice

Document = dict[str, Any]


def document(choice: Choice, policy: Policy) -> Document:
    """Features, rules, chain, threshold and limits; every name as in a decision's `route` and in the policy file."""
    made = choice.made
    rule = made.route.rule
    return {
        "policy": {"version": policy.version, "digest": policy.digest, "running": policy.restricted},
        "model": choice.model,
        "rule": rule,
        "reason": made.route.reason,
        "features": made.route.features,
        "rules": [_rule(each, choice, policy) for each in policy.rules],
        "chain": list(policy.chain(made.chosen)) if choice.question.event.fallback else [],
        "alternatives": list(policy.alternatives(rule)),
        "mode": choice.mode,
        "threshold": {"value": choice.terms.threshold, "from": _threshold_from(choice, policy)},
        "limits": _limits(choice, policy),
        "clamps": [clamp.model_dump(mode="json") for clamp in choice.terms.clamps],
    }


def tree(told: Document) -> Tree:
    """The same for people."""
    root = Tree(f"[bold]{told['model'] or 'no model'}[/bold]: {escape(told['reason'])}")
    root.add("sees " + ", ".join(f"{name} {_plain(value)}" for name, value in told["features"].items()))
    rules = root.add("rules, in their order")
    for each in told["rules"]:
        facts = ", ".join(f"{name} {_plain(value)}" for name, value in each["when"].items())
        taken = " [bold]← taken[/bold]" if each["taken"] else ""
        holds = "holds" if each["holds"] else "does not hold"
        rules.add(f"{escape(each['name'])} → {each['model']}: {holds} ({facts}){taken}")
    root.add(f"then {', '.join(told['chain']) or 'nobody'}; while overloaded {', '.join(told['alternatives']) or 'nobody'}")
    root.add(f"answers in mode {told['mode']}, from confidence {told['threshold']['value']:g} on ({told['threshold']['from']})")
    root.add("limits " + ", ".join(f"{name} {_plain(value)}" for name, value in told["limits"].items()))
    for clamp in told["clamps"]:
        root.add(f"{escape(clamp['limit'])}: {_plain(clamp['before'])} → {_plain(clamp['after'])}")
    root.add(f"policy {told['policy']['digest']}, version {_plain(told['policy']['version'])}")
    return root


def _rule(rule: Rule, choice: Choice, policy: Policy) -> Document:
    return {
        "name": rule.name,
        "when": {name: _fact(getattr(choice.features, name)) for name in rule.when},
        "holds": choice.features.hold(rule.when),
        "taken": choice.made.route.rule == rule.name,
        "model": rule.model,
        "alternatives": list(policy.alternatives(rule.name)),
        "min_confidence": rule.min_confidence,
        "mode": rule.mode,
    }


def _threshold_from(choice: Choice, policy: Policy) -> str:
    """Whose word the threshold is, the last one that counts: the context's, the rule's, the model's, or the global one."""
    asked, rule = choice.question.event.limits.min_confidence, choice.made.route.rule
    model = choice.model or choice.made.chosen
    if asked is not None and choice.terms.threshold == asked:
        return "the context"
    if any(each.name == rule and each.min_confidence is not None for each in policy.rules):
        return f"rule {rule}"
    return "MIN_LLM_CONFIDENCE" if policy.of(model).min_confidence is None else f"model {model}"


def _limits(choice: Choice, policy: Policy) -> Document:
    """The limits in force: what the context tightened, else the policy's."""
    held, question = choice.terms, choice.question
    return policy.limits.model_dump(mode="json") | {
        "max_position_pct": held.max_position_pct,
        "allowed_actions": [str(action) for action in held.allowed_actions],
        "require_stop": held.require_stop,
        "valid_ms": question.valid_until_ms - question.received_at_ms,
        "horizon_s": question.horizon_s,
    }


def _fact(fact: bool | None) -> Feature:
    return "unknown" if fact is None else fact


def _plain(value: object) -> str:
    return "-" if value is None else escape(str(value))
