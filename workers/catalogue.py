"""Which models there are, and what each is served from: real weights where they lie, else its stand-in."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from deciders.answer import SCHEMA_DIGEST, AnswerMode
from deciders.prompt import Prompt
from schemas.canonical import canonical_json, digest
from schemas.catalogue import ModelEntry, Serving, Weights
from schemas.decision import GenerationParts, ModelUsed

DAY_MS = 86_400_000
CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".bin", ".pt", ".pth", ".pkl", ".ckpt"})  # files that can run when read
WEIGHT_SUFFIX = ".safetensors"
SAMPLING = {"temperature": 0, "seed": 0}


class CatalogueError(ValueError):
    """A catalogue file or a model's folder is not what it must be; the message names file, field and remedy."""


@dataclass(frozen=True)
class Served:
    """What one model is served from, found on this machine."""

    entry: ModelEntry
    serving: Serving
    directory: Path
    adapter_directory: Path | None
    stand_in: bool

    @cached_property
    def weights_digest(self) -> str:
        """One digest over the model's files but the tokenizer's."""
        return _digest_of(self.serving.weights, lambda name: not _is_tokenizer(name))

    @cached_property
    def tokenizer_digest(self) -> str:
        """One digest over the tokenizer's files."""
        return _digest_of(self.serving.weights, _is_tokenizer)

    @cached_property
    def adapter_digest(self) -> str | None:
        """One digest over the adapter's files; None where there is none."""
        return None if self.serving.adapter is None else _digest_of(self.serving.adapter, lambda _: True)

    def used(self, engine: str, as_of_ms: int) -> ModelUsed:
        """The model as a decision names it, for a context that describes the market at `as_of_ms`."""
        adapter = self.serving.adapter
        return ModelUsed(
            name=self.entry.name,
            id=self.serving.weights.id,
            revision=self.serving.weights.revision,
            adapter=None if adapter is None else f"{adapter.id}@{adapter.revision}",
            engine=engine,
            cutoff="unknown" if self.stand_in else cutoff(self.entry, as_of_ms),
        )

    def parts(self, prompt: Prompt, mode: AnswerMode) -> GenerationParts:
        """The digests that tell one generation from another."""
        sampling = SAMPLING | {"max_tokens": self.serving.engine.answer_tokens_max if mode == "full" else 1}
        return GenerationParts(
            prompt=digest(prompt.text.encode()),
            tokenizer=self.tokenizer_digest,
            weights=self.weights_digest,
            adapter=self.adapter_digest,
            sampling=digest(canonical_json(sampling)),
            schema_=SCHEMA_DIGEST[mode],
        )

    def verify(self) -> None:
        """Raises CatalogueError unless every file is there, is the one of the digest, and nothing else is."""
        _verify(self.entry.name, self.serving.weights, self.directory)
        if self.serving.adapter is not None and self.adapter_directory is not None:
            _verify(self.entry.name, self.serving.adapter, self.adapter_directory)


def load_catalogue(folder: Path) -> dict[str, ModelEntry]:
    """Every model of the catalogue by name, in the order of the file names; CatalogueError names file and field."""
    entries = [_entry(path) for path in sorted(folder.glob("*.toml"))]
    if not entries:
        raise CatalogueError(f"{folder}: no model's file (*.toml) is there; is TRADING_LLM_CATALOGUE right?")
    return {entry.name: entry for entry in entries}


def serve(entry: ModelEntry, folder: Path, weights_root: Path | None) -> Served:
    """What to serve this model from: the folder of its real weights where there is one, else its stand-in's.

    `folder` is the catalogue's, `weights_root` where real weights lie (TRADING_LLM_WEIGHTS). Nothing is read yet.
    """
    if weights_root is not None and (weights_root / entry.weights.directory).is_dir():
        return _found(entry, entry, weights_root)
    if entry.stand_in is None:
        raise CatalogueError(
            f"{entry.name}: weights.directory {entry.weights.directory} is not below TRADING_LLM_WEIGHTS, "
            "and there is no stand-in"
        )
    return _found(entry, entry.stand_in, folder)


def cutoff(entry: ModelEntry, as_of_ms: int) -> Literal["past_cutoff", "in_window", "unknown"]:
    """Whether the market described lies after what the model can have read (`past_cutoff`), or may be known to it."""
    if entry.knowledge_cutoff is None:
        return "unknown"
    end_ms = (entry.knowledge_cutoff.toordinal() + 1 - 719_163) * DAY_MS  # 719,163 is the ordinal of 1970-01-01
    return "past_cutoff" if as_of_ms >= end_ms else "in_window"


def generation_key(parts: GenerationParts) -> str:
    """The content key of a generation: a digest of its parts."""
    return digest(canonical_json(parts.model_dump(by_alias=True)))


def _entry(path: Path) -> ModelEntry:
    try:
        entry = ModelEntry.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{path}: is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise CatalogueError(f"{path}: {'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}") from None
    if entry.name != path.stem:
        raise CatalogueError(f"{path}: name: must be the file's name, {path.stem}")
    return entry


def _found(entry: ModelEntry, serving: Serving, root: Path) -> Served:
    adapter = serving.adapter
    return Served(
        entry=entry,
        serving=serving,
        directory=root / serving.weights.directory,
        adapter_directory=None if adapter is None else root / adapter.directory,
        stand_in=serving is not entry,
    )


def _verify(name: str, weights: Weights, directory: Path) -> None:
    if not weights.files:
        raise CatalogueError(
            f"{name}: {directory} is there, but the catalogue has no digests of {weights.id}: list each file with its "
            "sha256 under [weights.files] (sha256sum), or remove the folder to serve the stand-in"
        )
    for path in _files(name, directory):
        _check_file(name, weights, path, path.relative_to(directory).as_posix())
    if missing := set(weights.files) - {path.relative_to(directory).as_posix() for path in directory.rglob("*")}:
        raise CatalogueError(f"{name}: {directory / sorted(missing)[0]} is missing; fetch {weights.id} again")


def _files(name: str, directory: Path) -> Iterable[Path]:
    if not directory.is_dir():
        raise CatalogueError(f"{name}: the folder {directory} is missing; stand-ins are made by `make stand-ins`")
    return sorted(path for path in directory.rglob("*") if not path.is_dir())


def _check_file(name: str, weights: Weights, path: Path, relative: str) -> None:
    if path.suffix in CODE_SUFFIXES:
        raise CatalogueError(f"{name}: {path} could run code when it is read; remove it: {WEIGHT_SUFFIX} is served")
    if relative not in weights.files:
        raise CatalogueError(f"{name}: {path} is not in the catalogue; remove it, or list it with its sha256")
    with path.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != weights.files[relative]:
            raise CatalogueError(f"{name}: {path} is not the file of the catalogue's sha256; fetch {weights.id} again")
    if path.name == "config.json" and "auto_map" in json.loads(path.read_bytes()):
        raise CatalogueError(f"{name}: {path} names code to run (auto_map); remove that key, then renew its sha256")


def _is_tokenizer(name: str) -> bool:
    return "token" in name or name.startswith("chat_template") or name in ("vocab.json", "merges.txt")


def _digest_of(weights: Weights, wanted: Callable[[str], bool]) -> str:
    return digest(canonical_json({name: sha for name, sha in weights.files.items() if wanted(name)}))
