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
CardGb = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}$")]  # a table's name in TOML, so it is text
QuantizationName = Literal["fp8", "awq"]  # 8-bit floats, made while loading; 4-bit integers, made by somebody beforehand
KvCacheDtype = Literal["auto", "fp8"]  # auto: the model's own
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
    """The files of one model or adapter. `files` maps each to its sha256; empty: not prepared, not served.

    `trading-llm models prepare` writes `revision` and `files` of real weights; nobody needs to know them before.
    """

    id: str  # the repository that its makers publish it in
    revision: str  # the commit of that repository; `unprepared` until somebody did
    directory: RelativePath  # a real model's: below the weights' root; a stand-in's: beside the catalogue file
    gated: bool = False  # whether its makers want its licence accepted before they hand it out
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
    context_chars_max: int = Field(default=0, ge=0, le=200_000)  # of quoted context, beyond ASCII by bytes; 0: none is shown

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Template:
        if unknown := set(re.findall(r"\{[a-z_]+\}", self.user)) - set(PLACEHOLDERS):
            raise ValueError(f"user: unknown placeholder {sorted(unknown)[0]}; known are {', '.join(PLACEHOLDERS)}")
        if re.search("|".join(map(re.escape, PLACEHOLDERS)), self.system):
            raise ValueError("system: must not hold a placeholder: what changes goes into user, so that prefixes are shared")
        if ("{context}" in self.user) != (self.context_chars_max > 0):
            raise ValueError("context_chars_max: must be above 0 exactly where user shows {context}")
        return self


class CardArguments(_Part):
    """Engine arguments that depend on the card; what is None is left as it is without them."""

    quantization: QuantizationName | None = None
    kv_cache_dtype: KvCacheDtype | None = None  # of the key-value cache
    tensor_parallel_size: int | None = Field(default=None, ge=1, le=16)  # cards that share one model


class EngineArguments(CardArguments):
    """What the inference engine is started with; what is None is left to the engine."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"]
    context_tokens: int = Field(ge=256, le=1_048_576)  # question and answer together; at most what the model was made for
    answer_tokens_max: int = Field(ge=16, le=2_048)
    enforce_eager: bool = False
    forked: bool = False  # one process for all of the engine, forked from ours: for tiny models on few cores
    threads: int | None = Field(default=None, ge=1, le=1_024)  # of each engine's arithmetic
    block_size: int | None = Field(default=None, ge=1, le=512)  # tokens a block of the key-value cache
    attention_backend: str | None = Field(default=None, pattern=r"^[A-Z0-9_]+$")  # by vLLM's name for it
    kv_cache_bytes: int | None = Field(default=None, ge=1 << 20)  # on each card
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)  # the engine's share of each card's memory

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


class Quantization(_Part):
    """A choice of fewer bits a weight. Without `id` the engine makes it while it loads; else it needs other files."""

    id: str | None = None  # the repository whose files are quantised already: put it in [weights] to serve them


class Architecture(_Part):
    """The numbers of the real model that its memory follows from, as in its config.json.

    The key-value cache holds a key and a value of `kv_heads` x `head_size` numbers for each token and layer, or, with
    latent attention, `latent_size` numbers in their place.
    """

    parameters: int = Field(ge=1)
    quantizable_parameters: int = Field(ge=0)  # those in the layers' matrices; embeddings, norms and the head stay as they are
    layers: int = Field(ge=1)
    attention_heads: int = Field(ge=1)
    kv_heads: int | None = Field(default=None, ge=1)
    head_size: int | None = Field(default=None, ge=1)
    latent_size: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_kind_of_cache(self) -> Architecture:
        heads = (self.kv_heads, self.head_size)
        if heads.count(None) == 1 or (None in heads) == (self.latent_size is None):
            raise ValueError("give kv_heads and head_size, or latent_size where attention is latent")
        if self.quantizable_parameters > self.parameters:
            raise ValueError("quantizable_parameters: must be at most parameters")
        return self


class ModelEntry(Serving):
    """One file of the catalogue."""

    name: ModelName
    license: str  # a note for people
    knowledge_cutoff: date | None = None  # the last day its training data may hold, where its makers published one
    concurrency: int = Field(ge=1, le=1_024)  # sequences the engine computes at once (`max_num_seqs`)
    architecture: Architecture
    quantizations: Mapping[QuantizationName, Quantization] = {}  # the choices there are
    gpu: Mapping[CardGb, CardArguments] = {}  # what it takes to have a card of so many GB, or less, for itself
    stand_in: StandIn | None = None

    @model_validator(mode="after")
    def _quantizations_are_choices(self) -> ModelEntry:
        wanted = {"engine": self.engine, **{f"gpu.{size}": table for size, table in self.gpu.items()}}
        for place, table in wanted.items():
            if table.quantization is None:
                continue
            choice = self.quantizations.get(table.quantization)
            if choice is None:
                raise ValueError(f"{place}.quantization: {table.quantization} is not among quantizations")
            if choice.id not in (None, self.weights.id):
                raise ValueError(f"{place}.quantization: {table.quantization} needs weights.id = {choice.id!r}")
        return self
