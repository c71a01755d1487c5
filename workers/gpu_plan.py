"""An engine's part of a GPU, as `trading-llm models plan` wrote it, and the served model with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from schemas.catalogue import CardArguments
from schemas.gpu_plan import GpuPlan, ModelShare
from workers.catalogue import CatalogueError, Served

AGAIN = "write it again: `trading-llm models plan --write`"
GIVEN = (*CardArguments.model_fields, "gpu_memory_utilization", "kv_cache_bytes")  # what an engine takes from its share


def read_plan(path: Path) -> GpuPlan:
    """The plan in this file; CatalogueError names the file and the remedy."""
    try:
        return GpuPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CatalogueError(f"TRADING_LLM_GPU_PLAN={path}: {error.strerror}; {AGAIN} {path}, or unset it") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise CatalogueError(f"{path}: {place}: {first['msg']}; {AGAIN} {path}") from None


def with_share(served: Served, path: Path | None) -> Served:
    """What is served, with its share of the GPU. Without a plan, and for a stand-in, as it is: those need no card."""
    if path is None or served.stand_in:
        return served
    share = read_plan(path).models.get(served.entry.name)
    if share is None:
        raise CatalogueError(f"{path}: has no share for {served.entry.name}: its engine would take the others'; {AGAIN} {path}")
    _check_sizes(served, share, path)
    given = {name: getattr(share, name) for name in GIVEN}
    return replace(served, serving=served.serving.model_copy(update={"engine": served.serving.engine.model_copy(update=given)}))


def _check_sizes(served: Served, share: ModelShare, path: Path) -> None:
    entry = served.entry
    is_now = {"context_tokens": entry.engine.context_tokens, "concurrency": entry.concurrency}
    for name, now in is_now.items():
        if (planned := getattr(share, name)) != now:
            raise CatalogueError(f"{path}: was made for {entry.name} with {name} = {planned}, which is {now} now; {AGAIN} {path}")
