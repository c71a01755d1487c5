"""How much of a GPU each model takes, and whether they fit on it together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.catalogue import CardArguments, KvCacheDtype, ModelEntry
from schemas.gpu_plan import GpuPlan, ModelShare

GB = 10**9  # no card holds less than its name in these: one of 80 GB holds 85.5, one of 24 GB 24.1
CARD_SHARE_MAX = 0.95  # of a card, for all engines together: the driver's part, and what rounding costs
# An engine beside weights and cache: CUDA's context and libraries 0.5 GB, captured graphs 0.5, one step of 8,192 tokens 1.0
# (its widest layer, 2 x 18,944 numbers a token, is 0.6 in 16 bits), fragments 0.5. Reckoned, not measured on a card.
ALLOWANCE_BYTES = 2_500_000_000
DTYPE_BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "float32": 4}  # auto: as stored, 16 bits in all of the four
# AWQ: 4 bits, and for each group of 128 a scale of 16 bits and a zero of 4.
QUANTIZED_BYTES = {"fp8": 1.0, "awq": (4 + (16 + 4) / 128) / 8}
FORMULA = (
    "need on a card = weights + key-value cache + allowance, 1 GB = 10^9 bytes\n"
    "  weights   = (parameters x bytes a parameter) / cards: 2 bytes (float32: 4); in the layers' matrices fp8 1, awq 0.52\n"
    "  cache     = concurrency x context x layers x (2 x kv_heads / cards x head_size, or latent_size) x 2 bytes (fp8: 1)\n"
    f"  allowance = {ALLOWANCE_BYTES / GB:.1f} GB an engine: CUDA's context, captured graphs, one step's numbers, fragments\n"
    f"  share     = need / card (gpu_memory_utilization); all shares together at most {CARD_SHARE_MAX}"
)


class PlanError(ValueError):
    """A wish that no engine could be started with; the text names the model and the remedy."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person who plans wants of every model that offers it; None: as the catalogue says."""

    quantization: Literal["none", "fp8", "awq"] | None = None
    kv_cache_dtype: KvCacheDtype | None = None
    tensor_parallel_size: int | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """What one engine takes of each card it uses, in bytes."""

    entry: ModelEntry
    arguments: CardArguments
    weights_bytes: int
    kv_cache_bytes: int
    allowance_bytes: int = ALLOWANCE_BYTES

    @property
    def cards(self) -> int:
        """How many cards share this model."""
        return self.arguments.tensor_parallel_size or 1

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.kv_cache_bytes + self.allowance_bytes

    @property
    def other_files(self) -> str | None:
        """The repository that has to be prepared first, where the catalogue's files are not the quantised ones."""
        choice = self.entry.quantizations.get(self.arguments.quantization) if self.arguments.quantization else None
        return None if choice is None or choice.id in (None, self.entry.weights.id) else choice.id


@dataclass(frozen=True, slots=True)
class Memory:
    """Some models on one card, or on several equal ones: the first card bears a part of each."""

    gpu_gb: float
    needs: tuple[Need, ...]

    @property
    def cards(self) -> int:
        """How many cards it takes."""
        return max((need.cards for need in self.needs), default=1)

    @property
    def needed_bytes(self) -> int:
        """On the first card."""
        return sum(need.total_bytes for need in self.needs)

    @property
    def usable_bytes(self) -> int:
        """Of one card."""
        return int(self.gpu_gb * GB * CARD_SHARE_MAX)

    @property
    def fits(self) -> bool:
        """Whether all of them can be served at once, each at its full concurrency and context."""
        return self.needed_bytes <= self.usable_bytes

    def share(self, need: Need) -> float:
        """The engine's `gpu_memory_utilization`, rounded up; above 1 where it could never fit."""
        return math.ceil(need.total_bytes / (self.gpu_gb * GB) * 1_000) / 1_000

    def plan(self) -> GpuPlan:
        """What the workers are told. The cache's size is told beside the share: engines that measure free memory while
        others load beside them would measure those, too."""
        return GpuPlan(gpu_gb=self.gpu_gb, models={need.entry.name: self._share(need) for need in self.needs})

    def _share(self, need: Need) -> ModelShare:
        return ModelShare(
            **need.arguments.model_dump(),
            gpu_memory_utilization=self.share(need),
            kv_cache_bytes=need.kv_cache_bytes,
            context_tokens=need.entry.engine.context_tokens,
            concurrency=need.entry.concurrency,
        )


def reckon(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> Memory:
    """What these models take on cards of so many GB. Raises PlanError where a model cannot be shared by so many cards."""
    return Memory(gpu_gb, tuple(_need(entry, choose_arguments(entry, gpu_gb, wish)) for entry in entries))


def choose_arguments(entry: ModelEntry, gpu_gb: float, wish: Wish) -> CardArguments:
    """The wish, else what the smallest table `[gpu.N]` with N at least `gpu_gb` says, else what `[engine]` does."""
    names = CardArguments.model_fields
    found = {name: getattr(entry.engine, name) for name in names}
    fitting = sorted((int(size), table) for size, table in entry.gpu.items() if int(size) >= gpu_gb)
    if fitting:
        found |= {name: value for name in names if (value := getattr(fitting[0][1], name)) is not None}
    if wish.quantization == "none":
        found["quantization"] = None
    elif wish.quantization in entry.quantizations:
        found["quantization"] = wish.quantization
    found["kv_cache_dtype"] = wish.kv_cache_dtype or found["kv_cache_dtype"]
    found["tensor_parallel_size"] = wish.tensor_parallel_size or found["tensor_parallel_size"]
    return CardArguments(**found)


def _need(entry: ModelEntry, arguments: CardArguments) -> Need:
    cards = arguments.tensor_parallel_size or 1
    if entry.architecture.attention_heads % cards:
        raise PlanError(
            f"{entry.name}: {entry.architecture.attention_heads} attention heads cannot be shared by {cards} cards: "
            "give --tensor-parallel a number that divides them"
        )
    weights = math.ceil(weights_bytes(entry, arguments) / cards)
    return Need(entry, arguments, weights, _kv_cache_bytes(entry, arguments))


def weights_bytes(entry: ModelEntry, arguments: CardArguments) -> int:
    """The weights on all cards together."""
    built, full = entry.architecture, DTYPE_BYTES[entry.engine.dtype]
    small = full if arguments.quantization is None else QUANTIZED_BYTES[arguments.quantization]
    kept = built.parameters - built.quantizable_parameters
    return math.ceil(built.quantizable_parameters * small + kept * full)


def kv_bytes_a_token(entry: ModelEntry, arguments: CardArguments) -> int:
    """What one token keeps in the cache of each card. What latent attention keeps cannot be divided."""
    built, cards = entry.architecture, arguments.tensor_parallel_size or 1
    size = 1 if arguments.kv_cache_dtype == "fp8" else DTYPE_BYTES[entry.engine.dtype]
    if built.latent_size is not None:
        return built.layers * built.latent_size * size
    assert built.kv_heads is not None and built.head_size is not None  # the catalogue's own rule
    return built.layers * 2 * math.ceil(built.kv_heads / cards) * built.head_size * size


def _kv_cache_bytes(entry: ModelEntry, arguments: CardArguments) -> int:
    return entry.concurrency * entry.engine.context_tokens * kv_bytes_a_token(entry, arguments)
