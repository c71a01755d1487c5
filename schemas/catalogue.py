"""What a model of the catalogue is: whose weights, in which files, asked how, and what stands in where they are absent.

One TOML file a model. Everything that differs between models, and between real weights and a stand-in's, is data here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PLACEHOLDERS = ("{symbol}", "{horizon}", "{summary}", "{context}")


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError("must be a relative path that stays inside its folder")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Weights(_Part):
    """The files of one model or adapter. `files` maps each to its sha256; empty: not prepared, not served."""

    id: str
    revision: str
    directory: RelativePath  # a real model's: below the weights' root; a stand-in's: beside the catalogue file
    files: Mapping[RelativePath, Sha256] = {}


class Adapter(Weights):
    """A LoRA adapter over the weights. The engine asks with it, always."""

    rank: int = Field(ge=1, le=512)


class Template(_Part):
    """How a context becomes a prompt. The unchanging part is `system`; `user` holds the placeholders.

    `chat` goes through the tokenizer's own chat template; `plain` is what the model was trained on, word for word.
    """

    format: Literal["chat", "plain"]
    system: str
    user: str
    context_chars_max: int = Field(default=0, ge=0, le=200_000)  # characters of quoted context; 0: none is shown

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Template:
        if unknown := set(re.findall(r"\{[a-z_]+\}", self.user)) - set(PLACEHOLDERS):
            raise ValueError(f"user: unknown placeholder {sorted(unknown)[0]}; known are {', '.join(PLACEHOLDERS)}")
        if re.search("|".join(map(re.escape, PLACEHOLDERS)), self.system):
            raise ValueError("system: must not hold a placeholder: what changes goes into user, so that prefixes are shared")
        if ("{context}" in self.user) != (self.context_chars_max > 0):
            raise ValueError("context_chars_max: must be above 0 exactly where user shows {context}")
        return self


class EngineArguments(_Part):
    """What the inference engine is started with; what is None is left to the engine."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"]
    context_tokens: int = Field(ge=256, le=1_048_576)  # question and answer together; at most what the model was made for
    answer_tokens_max: int = Field(ge=16, le=2_048)
    enforce_eager: bool = False
    forked: bool = False  # one process for all of the engine, forked from ours: for tiny models on few cores
    threads: int | None = Field(default=None, ge=1, le=1_024)  # of each engine's arithmetic
    block_size: int | None = Field(default=None, ge=1, le=512)  # tokens a block of the key-value cache
    kv_cache_bytes: int | None = Field(default=None, ge=1 << 20)
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _the_answer_fits(self) -> EngineArguments:
        if self.answer_tokens_max >= self.context_tokens:
            raise ValueError("answer_tokens_max: must be below context_tokens")
        return self


class Serving(_Part):
    """One way to serve a model: these weights, this adapter, this template, these engine arguments."""

    weights: Weights
    adapter: Adapter | None = None
    template: Template
    engine: EngineArguments


class StandIn(Serving):
    """A tiny trained model of the same architecture, served where the real weights are absent."""

    replaces: str  # a sentence for people: whose place it takes


class ModelEntry(Serving):
    """One file of the catalogue."""

    name: ModelName
    license: str
    knowledge_cutoff: date | None = None  # the last day its training data may hold, where its makers published one
    concurrency: int = Field(ge=1, le=1_024)  # sequences the engine computes at once (`max_num_seqs`)
    stand_in: StandIn | None = None
