"""What would fit where some models do not fit on a card together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from schemas.catalogue import ModelEntry
from workers.gpu_memory import GB, Wish, reckon

CARDS_GB = (16, 24, 48, 80, 141)  # as they are sold
CARDS_TOGETHER = (2, 4, 8)  # as machines have them


def remedies(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> list[str]:
    """What would fit instead, each as a phrase: fewer bits, fewer models, another card, more cards."""
    ways = (_fewer_bits, _fewer_models, _another_card, _more_cards)
    return [text for way in ways if (text := next(way(entries, gpu_gb, wish), None)) is not None]


def _fewer_bits(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> Iterator[str]:
    wishes = {
        "--quantization fp8": replace(wish, quantization="fp8"),
        "--kv-cache-dtype fp8": replace(wish, kv_cache_dtype="fp8"),
        "--quantization fp8 --kv-cache-dtype fp8": replace(wish, quantization="fp8", kv_cache_dtype="fp8"),
    }
    for options, smaller in wishes.items():
        found = reckon(entries, gpu_gb, smaller)
        if found.fits:
            yield f"fewer bits: {options} needs {found.needed_bytes / GB:.1f} GB"


def _fewer_models(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> Iterator[str]:
    kept = list(entries)
    while len(kept) > 1:
        largest = max(reckon(kept, gpu_gb, wish).needs, key=lambda need: need.total_bytes)
        kept.remove(largest.entry)
        if (found := reckon(kept, gpu_gb, wish)).fits:
            names = ",".join(entry.name for entry in kept)
            yield f"fewer models: --models {names} needs {found.needed_bytes / GB:.1f} GB"


def _another_card(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> Iterator[str]:
    for card_gb in CARDS_GB:
        if card_gb > gpu_gb and reckon(entries, card_gb, wish).fits:
            yield f"another card: --gpu {card_gb}"


def _more_cards(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> Iterator[str]:
    for cards in CARDS_TOGETHER:
        shared = replace(wish, tensor_parallel_size=cards)
        divides = all(entry.architecture.attention_heads % cards == 0 for entry in entries)
        if cards > (wish.tensor_parallel_size or 1) and divides and reckon(entries, gpu_gb, shared).fits:
            yield f"more cards: --tensor-parallel {cards}, each model on {cards} cards of {gpu_gb:g} GB"
