"""What a policy makes of one context, by itself: no model is asked, no queue is looked at, and no router of one's own."""

from __future__ import annotations

from dataclasses import dataclass

from backbone.settings import Settings
from deciders.features import Features, compute_features
from deciders.fleet import Fleet
from deciders.limits import Bounds, terms
from deciders.routing import Chosen, NoModel, choose_model
from deciders.terms import Terms
from schemas.context import ContextEvent
from schemas.policy import Mode, Policy
from schemas.question import Question, resolve
from schemas.record import Record


@dataclass(frozen=True, slots=True)
class Ground:
    """What a policy is tried on: the models that run, those that there are, and MIN_LLM_CONFIDENCE."""

    running: tuple[str, ...]
    catalogue: tuple[str, ...]
    min_confidence: float

    @classmethod
    def of(cls, known: Settings) -> Ground:
        """As the pipeline with these settings has it."""
        return cls(known.models, known.catalogue_names, known.min_llm_confidence)


@dataclass(frozen=True, slots=True)
class Choice:
    """What came of it. `mode` and `terms` are of the model that would be asked first."""

    question: Question
    features: Features
    made: Chosen | NoModel
    mode: Mode
    terms: Terms

    @property
    def model(self) -> str | None:
        """Who would be asked first; None: nobody."""
        return self.made.model if isinstance(self.made, Chosen) else None


def choose(event: ContextEvent, record: Record, policy: Policy, ground: Ground) -> Choice:
    """The choice for this context, were it new now and all that runs well. `policy` is restricted to the models that run.

    Raises Rejected where this policy refuses it, or it prefers a model that is not in the catalogue.
    """
    question = resolve(event, record, policy)
    features = compute_features(event.context, policy.features)
    made = choose_model(question, features, policy, Fleet(ground.running), ground.catalogue)
    model = made.model if isinstance(made, Chosen) else made.chosen
    bounds = Bounds(policy, model, ground.min_confidence, None, question.received_at_ms, made.route.rule)
    return Choice(question, features, made, policy.mode(model, made.route.rule), terms(question, bounds))
