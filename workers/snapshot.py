"""A folder as a model's makers publish it: what of it can be served, and what is odd about it. Nothing is written here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.catalogue import Adapter, Architecture, ModelEntry, Weights
from workers.catalogue import WEIGHT_SUFFIX, CatalogueError
from workers.catalogue_file import Part

KEPT_SUFFIXES = frozenset({WEIGHT_SUFFIX, ".json", ".jinja", ".model", ".tiktoken"})  # .model: a tokenizer of SentencePiece
KEPT_NAMES = frozenset({"merges.txt", "vocab.txt"})
ADAPTER_CONFIG, ADAPTER_WEIGHTS, ADAPTER_BIN = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
INDEX = ".safetensors.index.json"
OTHER_INDEX = ".bin.index.json"  # of files that are not served
SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
HEADER_BYTES_MAX = 100_000_000  # the format's own bound
FETCH_AGAIN = "fetch the repository again, whole"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder that was looked through: `kept` is to be copied, `skipped` is not, `convert` is made into safetensors."""

    directory: Path
    part: Part
    weights: Weights  # what of the catalogue it is
    kept: tuple[str, ...]
    skipped: tuple[str, ...]
    convert: str | None = None

    @property
    def size_bytes(self) -> int:
        """Of what will be written."""
        return sum((self.directory / name).stat().st_size for name in (*self.kept, *([self.convert] if self.convert else [])))


def look_through(directory: Path, entry: ModelEntry) -> Snapshot:
    """What this folder holds of the model: its weights, or its adapter. CatalogueError names the file and the remedy."""
    if not directory.is_dir():
        raise CatalogueError(f"{directory}: is no folder; give the folder of a downloaded snapshot")
    names = [path.name for path in sorted(directory.iterdir()) if _is_file(path, directory.resolve())]
    others = [path.name for path in sorted(directory.iterdir()) if path.name not in names]
    if ADAPTER_CONFIG in names:
        return _adapter(directory, entry, names, others)
    return _model(directory, entry, names, others)


def _is_file(path: Path, root: Path) -> bool:
    """Whether it is to be considered: hidden files and sub-folders are not; what cannot be copied faithfully is refused."""
    if path.name.startswith("."):
        return False
    if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(root)):
        raise CatalogueError(f"{path}: is a link that leaves its folder, or leads nowhere; copy the snapshot with `cp -rL` first")
    if path.is_dir():
        return False
    if not path.is_file():
        raise CatalogueError(f"{path}: is no ordinary file; remove it")
    return True


def _model(directory: Path, entry: ModelEntry, names: Sequence[str], others: Sequence[str]) -> Snapshot:
    kept = [name for name in names if _is_kept(name)]
    for name in kept:
        if name.endswith(".json"):
            _json(directory / name)
    _check_config(directory, kept, entry)
    if not {"tokenizer.json", "tokenizer.model", "vocab.json"} & set(kept):
        raise CatalogueError(f"{directory}: has no tokenizer (tokenizer.json, tokenizer.model or vocab.json); {FETCH_AGAIN}")
    _check_weights(directory, kept)
    skipped = [*others, *(name for name in names if name not in kept)]
    return Snapshot(directory, "weights", entry.weights, tuple(kept), tuple(sorted(skipped)))


def _is_kept(name: str) -> bool:
    return (Path(name).suffix in KEPT_SUFFIXES or name in KEPT_NAMES) and not name.endswith(OTHER_INDEX)


def _adapter(directory: Path, entry: ModelEntry, names: Sequence[str], others: Sequence[str]) -> Snapshot:
    if entry.adapter is None:
        raise CatalogueError(
            f"{directory / ADAPTER_CONFIG}: this is an adapter, and {entry.name} has none in the catalogue; "
            "give the folder of its weights, or add [adapter] to its file"
        )
    _check_rank(directory / ADAPTER_CONFIG, entry.adapter)
    kept, convert = [ADAPTER_CONFIG], None
    if ADAPTER_WEIGHTS in names:
        kept.append(ADAPTER_WEIGHTS)
        _check_safetensors(directory / ADAPTER_WEIGHTS)
    elif ADAPTER_BIN in names:
        convert = ADAPTER_BIN
    else:
        raise CatalogueError(f"{directory}: has neither {ADAPTER_WEIGHTS} nor {ADAPTER_BIN}; {FETCH_AGAIN}")
    skipped = [*others, *(name for name in names if name not in kept and name != convert)]
    return Snapshot(directory, "adapter", entry.adapter, tuple(kept), tuple(sorted(skipped)), convert)


def _check_rank(path: Path, adapter: Adapter) -> None:
    rank = _json(path).get("r")
    if rank != adapter.rank:
        raise CatalogueError(f"{path}: r is {rank}, and adapter.rank is {adapter.rank} in the catalogue; is this {adapter.id}?")


def _check_config(directory: Path, kept: Iterable[str], entry: ModelEntry) -> None:
    """Another model's folder under this name would be served with this one's context, memory and words."""
    path = directory / "config.json"
    if path.name not in kept:
        raise CatalogueError(f"{path}: is missing; {FETCH_AGAIN}")
    config = _json(path)
    for field, (says, found) in _numbers(entry.architecture, config).items():
        if found != says:
            raise CatalogueError(
                f"{path}: architecture.{field} is {says} in the catalogue, and {found} here; is this {entry.weights.id}? "
                "If so, mend the catalogue"
            )


def _numbers(built: Architecture, config: dict[str, Any]) -> dict[str, tuple[object, object]]:
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


def _check_weights(directory: Path, kept: Sequence[str]) -> None:
    weights = [name for name in kept if name.endswith(WEIGHT_SUFFIX)]
    if not weights:
        raise CatalogueError(
            f"{directory}: has no {WEIGHT_SUFFIX}; fetch the repository's safetensors: a model's .bin or .pth is not converted"
        )
    for name in weights:
        _check_safetensors(directory / name)
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
    named = _json(path).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise CatalogueError(f"{path}: names no files (weight_map); {FETCH_AGAIN}")
    if missing := sorted(set(named.values()) - set(weights)):
        raise CatalogueError(f"{path}: names {missing[0]}, which is not beside it; {FETCH_AGAIN}")


def _check_safetensors(path: Path) -> None:
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


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: is not JSON ({error}); {FETCH_AGAIN}") from None
    return found if isinstance(found, dict) else {}
