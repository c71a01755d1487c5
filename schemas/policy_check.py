"""What no single field of a policy can tell: whether its rules, its chains and its names fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from schemas.policy_flaw import Key, PolicyFlaw

if TYPE_CHECKING:
    from schemas.policy import Policy

ROUTER_PREFIX: Final = "router:"  # before the name of a router of one's own, in `route.rule`
RECENT_BARS_MIN: Final = 4  # as many returns, or earlier volumes, as features need (`deciders/features.py`)
_TAKEN: Final = ("preference", "default")


def flaws_of(policy: Policy) -> list[PolicyFlaw]:
    """Whatever is wrong with a policy, each field of which is sound by itself."""
    return [*_rules(policy), *_large_position(policy), *_chains(policy), *_own_chain(policy)]


def flaws_of_file(policy: Policy, catalogue: Collection[str]) -> list[PolicyFlaw]:
    """What is wrong beside that with a file that is to be put in force. `catalogue` holds every model's name.

    A policy that lies on `control` already is not asked so much: what was put there earlier must stay readable.
    """
    flaws = [] if policy.version is not None else [PolicyFlaw(("version",), "is required; add `version = 1` at the top")]
    if policy.features.recent_bars < RECENT_BARS_MIN:
        fewer = f"must be at least {RECENT_BARS_MIN}: of fewer bars neither volume ratio nor volatility is computed"
        flaws.append(PolicyFlaw(("features", "recent_bars"), fewer))
    known = ", ".join(sorted(catalogue))
    for key, model in _named(policy):
        if model not in catalogue:
            flaws.append(PolicyFlaw(key, f"{model} is not in the catalogue ({known}); correct its spelling, or add its file"))
    return flaws


def _rules(policy: Policy) -> Iterator[PolicyFlaw]:
    names = [rule.name for rule in policy.rules]
    for number, rule in enumerate(policy.rules):
        if rule.name in _TAKEN or rule.name.startswith(ROUTER_PREFIX) or rule.name in names[:number]:
            yield PolicyFlaw(("rules", number, "name"), f"{rule.name!r} is taken; give each rule a name of its own")
        if rule.model in rule.alternatives or len(set(rule.alternatives)) != len(rule.alternatives):
            yield PolicyFlaw(("rules", number, "alternatives"), "must name each other model at most once; remove what is twice")


def _large_position(policy: Policy) -> Iterator[PolicyFlaw]:
    if policy.features.large_position_pct is not None:
        return
    for number, rule in enumerate(policy.rules):
        if "large_position" in rule.when:
            yield PolicyFlaw(
                ("rules", number, "when"),
                "large_position is off, so this rule could never hold; set features.large_position_pct, such as 0.05",
            )


def _chains(policy: Policy) -> Iterator[PolicyFlaw]:
    for model, chain in policy.fallback.items():
        if model in chain or len(set(chain)) != len(chain):
            yield PolicyFlaw(("fallback", model), "must name each other model at most once, never itself; remove it there")
        if model != policy.default and chain[-1:] != (policy.default,):
            yield PolicyFlaw(("fallback", model), f"must end at the default, {policy.default}; add it at the end")


def _own_chain(policy: Policy) -> Iterator[PolicyFlaw]:
    others = [name for name in policy.names if name != policy.default]
    if others and policy.default not in policy.fallback:
        named = ", ".join(f'"{name}"' for name in others)
        yield PolicyFlaw(
            ("fallback", policy.default),
            f"is required: nobody is asked where the default fails; add `{policy.default} = [{named}]` under [fallback]",
        )


def _named(policy: Policy) -> Iterator[tuple[Key, str]]:
    """Every model's name in the file, with the way to it."""
    yield ("default",), policy.default
    for number, rule in enumerate(policy.rules):
        yield ("rules", number, "model"), rule.model
        yield from ((("rules", number, "alternatives"), model) for model in rule.alternatives)
    for model, chain in policy.fallback.items():
        yield from ((("fallback", model), name) for name in (model, *chain))
    yield from ((("models", model), model) for model in policy.models)
