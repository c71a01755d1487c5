"""What a model is asked: the template's words around the context, which is cleaned, fenced and cut to size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deciders.features import Features
from deciders.quoting import quoted
from deciders.summary import Sight, duration, summarise
from schemas.catalogue import Template
from schemas.question import Question


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question for a model: `system` never changes, `user` is the rest; `trimmed` names what was left out."""

    system: str
    user: str
    trimmed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The rendered text, of which the digest is taken; a chat template's own marks belong to the tokenizer."""
        return f"{self.system}\n{self.user}"


def render(template: Template, question: Question, features: Features) -> Prompt:
    """The question in this template's words: any valid context has a prompt, however little it tells."""
    context, trimmed = "", tuple[str, ...]()
    if template.context_chars_max:
        context, trimmed = quoted(question.event.context, template.context_chars_max)
    blanks = {
        "symbol": question.symbol,
        "horizon": duration(question.horizon_s),
        "summary": summary_text(sight_of(question, features)),
        "context": context,
    }
    return Prompt(template.system, fill(template.user, blanks), trimmed)


def summary_text(sight: Sight) -> str:
    """The summary's lines, one below the other."""
    return "\n".join(field.line for field in summarise(sight))


def sight_of(question: Question, features: Features) -> Sight:
    """The numbers that the summary is made of, from the context and its features."""
    context = question.event.context
    return Sight(
        closes=tuple(candle.c for candle in context.candles),
        price=context.price_ref,
        volume_ratio=features.volume_ratio,
        volatility=features.volatility,
        sentiment=features.sentiment,
        has_position=features.has_position,
        position=context.position_size,
        entry_price=None if context.position is None else context.position.entry_price,
        market=context.market,
        bar=context.interval if context.candles else None,
        horizon_s=question.horizon_s,
    )


def fill(user: str, blanks: Mapping[str, str]) -> str:
    """The template's `user` part with its placeholders filled; what is filled in is never searched for placeholders."""
    return re.sub(r"\{([a-z_]+)\}", lambda found: blanks.get(found[1], found[0]), user)
