"""A folder as a model's makers publish it, and what of it is taken into service. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.catalogue import ModelEntry, Weights
from workers.catalogue import WEIGHT_SUFFIX, CatalogueError
from workers.catalogue_file import Part
from workers.snapshot_check import FETCH_AGAIN, check_config, check_rank, check_safetensors, check_weights, read_json

KEPT_SUFFIXES = frozenset({WEIGHT_SUFFIX, ".json", ".jinja", ".model", ".tiktoken"})  # .model: a tokenizer of SentencePiece
KEPT_NAMES = frozenset({"merges.txt", "vocab.txt"})
ADAPTER_CONFIG, ADAPTER_WEIGHTS, ADAPTER_BIN = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
OTHER_INDEX = ".bin.index.json"  # of files that are not served


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
            read_json(directory / name)  # or one that is cut short would end an engine
    check_config(directory, kept, entry)
    if not {"tokenizer.json", "tokenizer.model", "vocab.json"} & set(kept):
        raise CatalogueError(f"{directory}: has no tokenizer (tokenizer.json, tokenizer.model or vocab.json); {FETCH_AGAIN}")
    check_weights(directory, kept)
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
    check_rank(directory / ADAPTER_CONFIG, entry.adapter)
    kept, convert = [ADAPTER_CONFIG], None
    if ADAPTER_WEIGHTS in names:
        kept.append(ADAPTER_WEIGHTS)
        check_safetensors(directory / ADAPTER_WEIGHTS)
    elif ADAPTER_BIN in names:
        convert = ADAPTER_BIN
    else:
        raise CatalogueError(f"{directory}: has neither {ADAPTER_WEIGHTS} nor {ADAPTER_BIN}; {FETCH_AGAIN}")
    skipped = [*others, *(name for name in names if name not in kept and name != convert)]
    return Snapshot(directory, "adapter", entry.adapter, tuple(kept), tuple(sorted(skipped)), convert)
