"""A GPU's plan as it is told: a table for people, one document, and the file that the workers read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from trading_llm import say
from trading_llm.exits import DidNotHold, WrongUse
from workers.gpu_memory import FORMULA, GB, Memory, Need

FP8 = "note: fp8 wants a card of the generations Ada and Hopper, or newer; an Ampere card may refuse it for the cache"


def show(memory: Memory) -> None:
    """The formula, a row an engine, and what to know before it is believed."""
    print(FORMULA + "\n")
    rows = [_row(memory, need) for need in memory.needs]
    columns = ("model", "weights", "cache", "on cards", "weights GB", "cache GB", "allowance GB", "need GB", "share")
    say.table(f"each engine, of a card of {memory.gpu_gb:g} GB", columns, rows)
    if memory.fits:
        print(f"fits: {_sizes(memory)}")
    if any("fp8" in (need.arguments.quantization, need.arguments.kv_cache_dtype) for need in memory.needs):
        say.note(FP8)
    for need in memory.needs:
        if need.other_files is not None:
            say.note(f"note: {need.entry.name} needs other files for this: {need.other_files} in [weights] of its catalogue file")


def document(memory: Memory, instead: Sequence[str]) -> dict[str, Any]:
    """The same as one document; sizes in bytes, of one card."""
    return {
        "fits": memory.fits,
        "gpu_gb": memory.gpu_gb,
        "cards": memory.cards,
        "needed_bytes": memory.needed_bytes,
        "usable_bytes": memory.usable_bytes,
        "formula": FORMULA,
        "models": {need.entry.name: _part(memory, need) for need in memory.needs},
        "instead": list(instead),
    }


def refusal(memory: Memory, instead: Sequence[str]) -> str:
    """Why these models cannot be served, and what would fit instead."""
    ways = "\n  ".join(instead or ["nothing that is known here: choose a larger card"])
    return f"does not fit: {_sizes(memory)}. What would:\n  {ways}"


def write(memory: Memory, path: Path) -> None:
    """Each engine's share, for the workers; whole or not at all: one that restarts may be reading it.

    Raises DidNotHold where a model needs files that are not served, WrongUse where the file cannot be written.
    """
    for need in memory.needs:
        if need.other_files is not None:
            raise DidNotHold(
                f"{path}: not written: {need.entry.name} has no {need.arguments.quantization} files: put {need.other_files} "
                "in [weights] of its catalogue file, prepare it, and plan again"
            )
    if not path.name:
        raise WrongUse(f"--write {path}: is a folder: name a file in it")
    draft = path.with_name(f".{path.name}.writing")
    try:
        draft.write_text(memory.plan().model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise WrongUse(f"--write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):  # where nothing could be written, nothing is there
            draft.unlink()
    say.note(f"written: use it with TRADING_LLM_GPU_PLAN={path.absolute()} make up")


def _row(memory: Memory, need: Need) -> list[Any]:
    wanted = need.arguments
    parts = (need.weights_bytes, need.kv_cache_bytes, need.allowance_bytes, need.total_bytes)
    bits = (wanted.quantization or need.entry.engine.dtype, wanted.kv_cache_dtype or "auto")
    return [need.entry.name, *bits, need.cards, *(f"{part / GB:.1f}" for part in parts), f"{memory.share(need):.3f}"]


def _part(memory: Memory, need: Need) -> dict[str, Any]:
    return {
        **need.arguments.model_dump(),
        "weights_bytes": need.weights_bytes,
        "kv_cache_bytes": need.kv_cache_bytes,
        "allowance_bytes": need.allowance_bytes,
        "gpu_memory_utilization": memory.share(need),
    }


def _sizes(memory: Memory) -> str:
    cards = "" if memory.cards == 1 else f" on the first of {memory.cards} cards"
    usable = f"{memory.usable_bytes / GB:.1f} usable of {memory.gpu_gb:g}"
    return f"{memory.needed_bytes / GB:.1f} GB needed{cards}, {usable}"
