"""What a question is held to: the policy's limits, and the bot's own where they are tighter."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.action import Action
from schemas.context import RiskLimits
from schemas.decision import Clamp, ClampValue
from schemas.policy import Limits


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits in force; `clamps` names each of the bot's that was looser than the policy's, which stands."""

    max_position_pct: float
    allowed_actions: tuple[Action, ...]
    require_stop: bool
    threshold: float
    clamps: tuple[Clamp, ...]


def terms_of(asked: RiskLimits, policy: Limits, base_threshold: float) -> Terms:
    """The limits in force; `base_threshold` is the confidence asked for where the bot asks for none."""
    clamps: list[Clamp] = []
    max_position_pct = policy.max_position_pct
    if asked.max_position_pct is not None:
        max_position_pct = min(asked.max_position_pct, policy.max_position_pct)
        _note(clamps, "max_position_pct", asked.max_position_pct, max_position_pct)
    allowed = policy.allowed_actions
    if asked.allowed_actions is not None:
        wanted = tuple(dict.fromkeys(asked.allowed_actions))
        allowed = tuple(action for action in wanted if action in policy.allowed_actions)
        _note(clamps, "allowed_actions", wanted, allowed)
    if asked.require_stop is not None:
        _note(clamps, "require_stop", asked.require_stop, asked.require_stop or policy.require_stop)
    threshold = base_threshold
    if asked.min_confidence is not None:
        threshold = max(asked.min_confidence, base_threshold)
        _note(clamps, "min_confidence", asked.min_confidence, threshold)
    require_stop = policy.require_stop or asked.require_stop is True
    return Terms(max_position_pct, allowed, require_stop, threshold, tuple(clamps))


def _note(clamps: list[Clamp], limit: str, before: ClampValue, after: ClampValue) -> None:
    if before != after:
        clamps.append(Clamp(limit=limit, before=before, after=after))
