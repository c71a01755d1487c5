"""The policy: which rules choose a model, and within what every decision must stay. A TOML file, checked whole."""

from __future__ import annotations

import tomllib
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, Strict, ValidationError, model_validator

from schemas.action import Action
from schemas.broken_rule import validation_flaw
from schemas.canonical import digest
from schemas.catalogue import ModelName
from schemas.context import HORIZON_S_MAX, TTL_MS_MAX, Actions, Fraction
from schemas.size import CANDIDATES_MAX

RULES_MAX: Final = 64
TOML_BYTES_MAX: Final = 64 * 1024

FeatureName = Literal["has_position", "high_volume", "volatility_high", "sentiment_clear"]
Chain = Annotated[tuple[ModelName, ...], Strict(False), Field(max_length=CANDIDATES_MAX)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PolicyError(ValueError):
    """A policy file cannot be used; the message names the key or the line, and the remedy."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Thresholds(_Table):
    """From where a feature holds."""

    high_volume_ratio: Positive = 1.5
    high_volatility: Positive = 0.8
    clear_sentiment: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.6
    recent_bars: Annotated[int, Field(ge=2, le=500)] = 20


class Rule(_Table):
    """Where all of `when` hold, `model` is asked, or one of `alternatives` while that is much sooner or alone in time."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    when: Annotated[tuple[FeatureName, ...], Strict(False), Field(min_length=1, max_length=4)]
    model: ModelName
    alternatives: Chain = ()


class Balance(_Table):
    """When another model takes a question: where the chosen one's expected wait is more than `factor` times its own."""

    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0


class Defaults(_Table):
    """What a question gets that does not say it itself; times from the record's own."""

    ttl_ms: Annotated[int, Field(ge=1, le=TTL_MS_MAX)] = 60_000
    horizon_s: Annotated[int, Field(ge=1, le=HORIZON_S_MAX)] = 900
    max_age_ms: Annotated[int, Field(ge=0)] | None = None


class Limits(_Table):
    """Within what every decision stays; a question may only ask for tighter. Fractions of equity or of the price."""

    max_position_pct: Fraction = 0.1
    default_size_pct: Fraction = 0.01
    allowed_actions: Actions = tuple(Action)
    require_stop: bool = False
    default_stop_pct: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.02
    collar_pct: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.2

    @model_validator(mode="after")
    def _default_stop_is_inside(self) -> Self:
        if self.default_stop_pct > self.collar_pct:
            raise ValueError("default_stop_pct must not be larger than collar_pct")
        return self


class ModelPolicy(_Table):
    """What holds for one model: its own confidence threshold (it replaces the global one), and how it answers."""

    min_confidence: Fraction | None = None
    mode: Literal["full", "label"] = "full"


class Policy(_Table):
    """The rules in their order, the chains behind each model, and the limits."""

    default: ModelName
    features: Thresholds = Thresholds()
    rules: Annotated[tuple[Rule, ...], Strict(False), Field(max_length=RULES_MAX)] = ()
    fallback: dict[ModelName, Chain] = {}
    balance: Balance = Balance()
    defaults: Defaults = Defaults()
    limits: Limits = Limits()
    models: dict[ModelName, ModelPolicy] = {}
    _text: str = PrivateAttr(default="")
    _restricted: tuple[str, ...] | None = PrivateAttr(default=None)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the file's text."""
        return digest(self._text.encode("utf-8"))

    @cached_property
    def restricted(self) -> tuple[str, ...] | None:
        """The only models that run, where this policy was restricted to them."""
        return self._restricted

    @cached_property
    def _chains(self) -> dict[str, tuple[str, ...]]:
        return {name: self._chain(name) for name in self.names}

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """The policy in this text; PolicyError, naming line or key and the remedy, where it holds none."""
        if len(text.encode("utf-8", "replace")) > TOML_BYTES_MAX:
            raise PolicyError(f"policy: has more than {TOML_BYTES_MAX} bytes; shorten it")
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"policy: is no TOML: {error}") from None
        policy = cls._checked(table)
        policy._text = text
        return policy

    @classmethod
    def _checked(cls, table: dict[str, Any]) -> Policy:
        try:
            policy = cls.model_validate(table)
        except ValidationError as error:
            field, rule = validation_flaw(error)
            raise PolicyError(f"policy: {field or 'the file'}: {rule}{_remedy(rule)}") from None
        _check_rules(policy)
        _check_chains(policy)
        return policy

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that this policy names, each once, the default first."""
        chained = (name for chain in self.fallback.values() for name in chain)
        return tuple(dict.fromkeys((self.default, *(r.model for r in self.rules), *self.fallback, *chained)))

    def chain(self, model: str) -> tuple[str, ...]:
        """Whom to ask, in this order, when `model` cannot be; without a chain of its own, the default."""
        known = self._chains.get(model)
        return self._chain(model) if known is None else known

    def _chain(self, model: str) -> tuple[str, ...]:
        chain = self.fallback.get(model, (self.default,))
        if self.restricted is not None:
            chain = (*(name for name in chain if name in self.restricted), self.default)
        return tuple(dict.fromkeys(name for name in chain if name != model))

    def of(self, model: str) -> ModelPolicy:
        """What holds for this model."""
        return self.models.get(model, _PLAIN)

    def restricted_to(self, models: tuple[str, ...]) -> Policy:
        """The same policy where only these models run: rules for others are skipped.

        The default stays if it runs, else it is the first named. ValueError where none is named.
        """
        if not models:
            raise ValueError("models: name at least one model that runs")
        if set(self.names) <= set(models):
            return self
        default = self.default if self.default in models else models[0]
        kept = tuple(rule for rule in self.rules if rule.model in models)
        # Built anew, not copied: what a copy remembers would be the unrestricted policy's.
        policy = Policy.model_construct(**dict(self) | {"default": default, "rules": kept})
        policy._text, policy._restricted = self._text, models
        return policy


_PLAIN: Final = ModelPolicy()


def _remedy(rule: str) -> str:
    return "; remove it, or correct its spelling" if rule.endswith("unknown field") else ""


def _check_rules(policy: Policy) -> None:
    names = [rule.name for rule in policy.rules]
    for number, name in enumerate(names):
        if name in ("preference", "default") or name in names[:number]:
            raise PolicyError(f"policy: rules[{number}].name: {name!r} is taken; give each rule a name of its own")


def _check_chains(policy: Policy) -> None:
    for model, chain in policy.fallback.items():
        if model in chain or len(set(chain)) != len(chain):
            raise PolicyError(f"policy: fallback.{model}: must name each other model at most once, never itself")
        if model != policy.default and chain[-1:] != (policy.default,):
            raise PolicyError(f"policy: fallback.{model}: must end at the default, {policy.default}; add it at the end")
