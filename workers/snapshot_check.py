"""What of a snapshot's files must hold before any is copied. Each check raises CatalogueError with the file and the remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from schemas.catalogue import Adapter, Architecture, ModelEntry
from workers.catalogue import WEIGHT_SUFFIX, CatalogueError

INDEX = ".safetensors.index.json"
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
HEADER_BYTES_MAX = 100_000_000  # the format's own bound
FETCH_AGAIN = "fetch the repository again, whole"


def check_rank(path: Path, adapter: Adapter) -> None:
    """The adapter's own config must name the catalogue's rank: the engine makes room for no other."""
    rank = read_json(path).get("r")
    if rank != adapter.rank:
        raise CatalogueError(
            f"{path}: r is {rank}, and adapter.rank is {adapter.rank} in the catalogue; is this {adapter.id}? "
            "If so, mend the catalogue"
        )


def check_config(directory: Path, kept: Iterable[str], entry: ModelEntry) -> None:
    """Another model's folder under this name would be served with this one's context, memory and words."""
    path = directory / "config.json"
    if path.name not in kept:
        raise CatalogueError(f"{path}: is missing; {FETCH_AGAIN}")
    config = read_json(path)
    for field, (says, found) in _numbers(entry.architecture, config).items():
        if found != says:
            raise CatalogueError(
                f"{path}: architecture.{field} is {says} in the catalogue, and {found} here; is this {entry.weights.id}? "
                "If so, mend the catalogue"
            )


def _numbers(built: Architecture, config: dict[str, Any]) -> dict[str, tuple[object, object]]:
    """By the catalogue's field: what the catalogue says, and what the config does."""
    heads = config.get("num_attention_heads")
    numbers: dict[str, tuple[object, object]] = {
        "layers": (built.layers, config.get("num_hidden_layers")),
        "attention_heads": (built.attention_heads, heads),
    }
    if built.latent_size is not None:
        return numbers | {"latent_size": (built.latent_size, _sum(config.get("kv_lora_rank"), config.get("qk_rope_head_dim")))}
    head_size = config.get("head_dim") or _quotient(config.get("hidden_size"), heads)
    kv_heads = config.get("num_key_value_heads", heads)
    return numbers | {"kv_heads": (built.kv_heads, kv_heads), "head_size": (built.head_size, head_size)}


def _sum(one: object, other: object) -> int | None:
    return one + other if isinstance(one, int) and isinstance(other, int) else None


def _quotient(whole: object, part: object) -> int | None:
    return whole // part if isinstance(whole, int) and isinstance(part, int) and part > 0 else None


def check_weights(directory: Path, kept: Sequence[str]) -> None:
    """There must be weights, each file whole, and every part that an index or a numbered name tells of."""
    weights = [name for name in kept if name.endswith(WEIGHT_SUFFIX)]
    if not weights:
        raise CatalogueError(
            f"{directory}: has no {WEIGHT_SUFFIX}; fetch the repository's safetensors: a model's .bin or .pth is not converted"
        )
    for name in weights:
        check_safetensors(directory / name)
    for name in kept:
        if name.endswith(INDEX):
            _check_index(directory / name, weights)
    for missing in _missing_shards(weights):
        raise CatalogueError(f"{directory / missing}: is missing beside its other parts; {FETCH_AGAIN}")


def _missing_shards(names: Iterable[str]) -> list[str]:
    """The parts that numbered names imply and nobody sees: 1 of 2 without 2 of 2."""
    there = set(names)
    found = [match for name in there if (match := SHARD.fullmatch(name))]
    series = {(match[1], match[3]) for match in found}
    wanted = {f"{stem}-{part:05}-of-{count}{WEIGHT_SUFFIX}" for stem, count in series for part in range(1, int(count) + 1)}
    return sorted(wanted - there)


def _check_index(path: Path, weights: Sequence[str]) -> None:
    named = read_json(path).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise CatalogueError(f"{path}: names no files (weight_map); {FETCH_AGAIN}")
    if missing := sorted(set(named.values()) - set(weights)):
        raise CatalogueError(f"{path}: names {missing[0]}, which is not beside it; {FETCH_AGAIN}")


def check_safetensors(path: Path) -> None:
    """Eight bytes that say how long the header is, the header in JSON, and as many bytes of numbers as it says."""
    with path.open("rb") as opened:
        header_bytes = int.from_bytes(opened.read(8), "little")
        header = opened.read(header_bytes) if 2 <= header_bytes <= HEADER_BYTES_MAX else b""
    try:
        tensors = {name: each for name, each in json.loads(header).items() if name != "__metadata__"}
        end = max((each["data_offsets"][1] for each in tensors.values()), default=0)
        whole = path.stat().st_size == 8 + header_bytes + end
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise CatalogueError(f"{path}: is cut short, or no safetensors file (a pointer of Git LFS?); {FETCH_AGAIN}")


def read_json(path: Path) -> dict[str, Any]:
    """What the file holds; nothing where that is no object."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: is not JSON ({error}); {FETCH_AGAIN}") from None
    return found if isinstance(found, dict) else {}
