"""The policy: which rules choose a model, and within what every decision must stay. A TOML file, checked whole."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, Strict, ValidationError, model_validator

from schemas.action import Action
from schemas.canonical import digest
from schemas.catalogue import ModelName
from schemas.context import HORIZON_S_MAX, TTL_MS_MAX, Actions, Fraction
from schemas.policy_check import flaws_of, flaws_of_file
from schemas.policy_flaw import PolicyError, invalid, refusal
from schemas.size import CANDIDATES_MAX

RULES_MAX: Final = 64
TOML_BYTES_MAX: Final = 64 * 1024

FeatureName = Literal["has_position", "high_volume", "volatility_high", "sentiment_clear", "large_position"]
Mode = Literal["full", "label"]
Chain = Annotated[tuple[ModelName, ...], Strict(False), Field(max_length=CANDIDATES_MAX)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Thresholds(_Table):
    """From where a feature holds."""

    high_volume_ratio: Positive = 1.5
    high_volatility: Positive = 0.8
    clear_sentiment: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.6
    recent_bars: Annotated[int, Field(ge=2, le=500)] = 20
    large_position_pct: Positive | None = None  # of equity; None: `large_position` is off


class Rule(_Table):
    """Where all of `when` hold, `model` is asked, or one of `alternatives` while it is overloaded.

    Its threshold and mode go before the model's own, for whichever model answers what this rule routed.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    when: Annotated[tuple[FeatureName, ...], Strict(False), Field(min_length=1, max_length=5)]
    model: ModelName
    alternatives: Chain = ()
    min_confidence: Fraction | None = None
    mode: Mode | None = None


class Balance(_Table):
    """When an alternative takes over: once the chosen model's wait is more than `factor` times the alternative's."""

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
    mode: Mode = "full"


class Policy(_Table):
    """The rules in their order, the chains behind each model, and the limits."""

    version: Annotated[int, Field(ge=1)] | None = None  # its author's count; the digest is what names a policy
    default: ModelName
    features: Thresholds = Thresholds()
    rules: Annotated[tuple[Rule, ...], Strict(False), Field(max_length=RULES_MAX)] = ()
    balance: Balance = Balance()
    fallback: dict[ModelName, Chain] = {}
    defaults: Defaults = Defaults()
    limits: Limits = Limits()
    models: dict[ModelName, ModelPolicy] = {}
    _text: str = PrivateAttr(default="")
    _restricted: tuple[str, ...] | None = PrivateAttr(default=None)
    _unrestricted: tuple[Rule, ...] = PrivateAttr(default=())

    @cached_property
    def digest(self) -> str:
        """The sha256 of the file's text."""
        return digest(self._text.encode("utf-8"))

    @property
    def text(self) -> str:
        """The file's text."""
        return self._text

    @cached_property
    def restricted(self) -> tuple[str, ...] | None:
        """The only models that run, where this policy was restricted to them."""
        return self._restricted

    @cached_property
    def _chains(self) -> dict[str, tuple[str, ...]]:
        return {name: self._chain(name) for name in self.names}

    @cached_property
    def _by_name(self) -> dict[str | None, Rule]:
        # A rule that is skipped here may have routed elsewhere what is judged here: what it demands holds all the same.
        return {rule.name: rule for rule in (*self._unrestricted, *self.rules)}

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """The policy in a text that lies on `control`; PolicyError, naming key and remedy, where it holds none.

        No lines: no person has that text before him, and whoever reads it has an event loop to give back.
        """
        policy = cls._read(text, "policy")
        if flaws := flaws_of(policy):
            raise refusal("policy", flaws)
        return policy

    @classmethod
    def from_file(cls, text: str, name: str, catalogue: Collection[str]) -> Policy:
        """The policy in a file that is to be put in force: it carries a version, and names only models of the catalogue.

        PolicyError, naming line, key and remedy, where it holds none; of a text that is no TOML the first flaw.
        """
        policy = cls._read(text, name, lines=True)
        if flaws := [*flaws_of(policy), *flaws_of_file(policy, catalogue)]:
            raise refusal(name, flaws, text)
        return policy

    @classmethod
    def _read(cls, text: str, name: str, *, lines: bool = False) -> Policy:
        """The policy, each field of it sound by itself."""
        if len(text.encode("utf-8", "replace")) > TOML_BYTES_MAX:
            raise PolicyError(f"{name}: has more than {TOML_BYTES_MAX} bytes; shorten it")
        try:
            policy = cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"{name}: is no TOML: {error}; correct what stands there") from None
        except RecursionError:
            raise PolicyError(f"{name}: is nested too deeply; no table of a policy holds more than two others") from None
        except ValidationError as error:
            raise refusal(name, invalid(error), text if lines else None) from None
        except ValueError:  # Python's own, of more than 4,300 digits
            raise PolicyError(f"{name}: holds a number that is too long to be read; shorten it") from None
        policy._text = text
        return policy

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that this policy names, each once, the default first."""
        ruled = (name for rule in self.rules for name in (rule.model, *rule.alternatives))
        chained = (name for chain in self.fallback.values() for name in chain)
        return tuple(dict.fromkeys((self.default, *ruled, *self.fallback, *chained)))

    def chain(self, model: str) -> tuple[str, ...]:
        """Whom to ask, in this order, when `model` cannot be; without a chain of its own, the default."""
        known = self._chains.get(model)
        return self._chain(model) if known is None else known

    def _chain(self, model: str) -> tuple[str, ...]:
        chain = self.fallback.get(model, (self.default,))
        if self.restricted is not None:
            chain = (*(name for name in chain if name in self.restricted), self.default)
        return tuple(dict.fromkeys(name for name in chain if name != model))

    def alternatives(self, rule: str | None) -> tuple[str, ...]:
        """Who may take over, in this order, while the model of this rule is overloaded; nobody where it is no rule's name."""
        found = self._by_name.get(rule)
        return () if found is None else found.alternatives

    def mode(self, model: str, rule: str | None) -> Mode:
        """How `model` answers what `rule` routed: as the rule says, else as is the model's own."""
        found = self._by_name.get(rule)
        return self.of(model).mode if found is None or found.mode is None else found.mode

    def min_confidence(self, model: str, rule: str | None) -> float | None:
        """The threshold for what `rule` routed and `model` answers: the rule's, else the model's own; None: the global one."""
        found = self._by_name.get(rule)
        return self.of(model).min_confidence if found is None or found.min_confidence is None else found.min_confidence

    def of(self, model: str) -> ModelPolicy:
        """What holds for this model where no rule says otherwise."""
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
        kept = tuple(_among(rule, models) for rule in self.rules if rule.model in models)
        # Who stands in for the default has its chain behind its own: where it fails the others that run are asked.
        behind = {} if default == self.default else {default: (*self.chain(default), *self.chain(self.default))}
        # Built anew, not copied: what a copy remembers would be the unrestricted policy's.
        policy = Policy.model_construct(**dict(self) | {"default": default, "rules": kept, "fallback": self.fallback | behind})
        policy._text, policy._restricted, policy._unrestricted = self._text, models, self.rules
        return policy


def _among(rule: Rule, models: tuple[str, ...]) -> Rule:
    return rule.model_copy(update={"alternatives": tuple(name for name in rule.alternatives if name in models)})


_PLAIN: Final = ModelPolicy()
