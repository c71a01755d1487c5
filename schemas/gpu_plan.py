"""What each engine gets of a GPU that several share: what `trading-llm models plan` writes and a worker reads."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from schemas.catalogue import CardArguments, ModelName


class ModelShare(CardArguments):
    """One engine's part, and the sizes that it was computed for."""

    gpu_memory_utilization: float = Field(gt=0, le=1)
    kv_cache_bytes: int = Field(ge=1 << 20)  # on each card
    context_tokens: int = Field(ge=1)
    concurrency: int = Field(ge=1)


class GpuPlan(BaseModel):
    """Every engine's part of one card, or of several equal ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    gpu_gb: float = Field(gt=0)
    models: Mapping[ModelName, ModelShare]
