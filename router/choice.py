"""Who chooses the model: the rules of the policy, or a subclass of `ModelRouter` named in the environment."""

from __future__ import annotations

import importlib

from backbone.errors import Fatal
from deciders.judge import Choose


def load_choice(name: str, catalogue: tuple[str, ...]) -> Choose:
    """The choice that TRADING_LLM_ROUTER=`module:Class` names; Fatal, with the remedy, where it names none."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
        choose: Choose = found(catalogue).choose
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise Fatal(f"TRADING_LLM_ROUTER={name}: {error}; want module:Class of a ModelRouter on the path") from error
    return choose
