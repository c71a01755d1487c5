"""A router of an experiment: each context draws an arm, by chance that nobody can draw again."""

from __future__ import annotations

import random

from deciders.features import Features
from deciders.fleet import Fleet
from deciders.routing import Chosen, NoModel
from router.model_router import ModelRouter
from schemas.policy import Policy
from schemas.question import Question

OTHER = "phi3"
NAME = f"{__name__}:Drawing"


class Drawing(ModelRouter):
    """One in two that no bot had a wish for goes to another model, where that can be asked, under a rule of the arm's own."""

    def choose(self, question: Question, features: Features, policy: Policy, fleet: Fleet) -> Chosen | NoModel:
        """The choice of the rules, or the arm's; both tell their arm."""
        made = super().choose(question, features, policy, fleet)
        if question.event.model_preference is not None or isinstance(made, NoModel) or not fleet.of(OTHER).can_be_asked:
            return made
        arm = random.SystemRandom().choice(("control", "other"))
        told = {"arm": arm, "propensity": 0.5} | ({"rule": "experiment"} if arm == "other" else {})
        route = made.route.model_copy(update=told)
        return Chosen(made.model, made.chosen, route) if arm == "control" else Chosen(OTHER, OTHER, route)
