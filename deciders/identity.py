"""What tells the generations of one model from another's, and from its own with other files: known without its engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, Literal

from deciders.answer import SCHEMA_DIGEST, AnswerMode
from deciders.prompt import Prompt
from schemas.canonical import canonical_json, digest
from schemas.catalogue import Template
from schemas.decision import GenerationParts

DAY_MS: Final = 86_400_000
FIRST_DAY: Final = 719_163  # the ordinal of 1970-01-01
SAMPLING: Final = {"temperature": 0, "seed": 0}

Cutoff = Literal["past_cutoff", "in_window", "unknown"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A model as it is served: how it is asked, and one digest for each part of its files.

    `weights` counts fewer bits in, since they change answers; `adapter` is None where there is none, `knowledge_cutoff` where
    nobody published one.
    """

    template: Template
    tokenizer: str
    weights: str
    adapter: str | None
    answer_tokens_max: int
    knowledge_cutoff: date | None

    def parts(self, prompt: Prompt, mode: AnswerMode) -> GenerationParts:
        """The digests that the answer to this prompt is kept under."""
        return GenerationParts(
            prompt=digest(prompt.text.encode()),
            tokenizer=self.tokenizer,
            weights=self.weights,
            adapter=self.adapter,
            sampling=_sampling_digest(self.answer_tokens_max if mode == "full" else 1),
            schema_=SCHEMA_DIGEST[mode],
        )

    def cutoff(self, as_of_ms: int) -> Cutoff:
        """Whether the market described lies after what the model can have read (`past_cutoff`), or may be known to it."""
        if self.knowledge_cutoff is None:
            return "unknown"
        end_ms = (self.knowledge_cutoff.toordinal() + 1 - FIRST_DAY) * DAY_MS
        return "past_cutoff" if as_of_ms >= end_ms else "in_window"


@lru_cache
def _sampling_digest(tokens_max: int) -> str:
    return digest(canonical_json(SAMPLING | {"max_tokens": tokens_max}))


@lru_cache(maxsize=16)  # a replay looks for an answer by it, and keeps the answer under it
def generation_key(parts: GenerationParts) -> str:
    """The content key of a generation: a digest of its parts."""
    return digest(canonical_json(parts.model_dump(by_alias=True)))
