"""Which models there are, and what each is served from: real weights where they lie, else its stand-in."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from deciders.answer import AnswerMode
from deciders.identity import Identity
from deciders.prompt import Prompt
from schemas.canonical import canonical_json, digest
from schemas.catalogue import ModelEntry, Serving, Weights
from schemas.decision import GenerationParts, ModelUsed

CODE_SUFFIXES = frozenset({".py", ".pyc", ".so", ".bin", ".pt", ".pth", ".pkl", ".ckpt"})  # files that can run when read
CODE_KEY = "auto_map"  # of a config: names Python files of its repository, to be imported
WEIGHT_SUFFIX = ".safetensors"
STAND_INS = "trading-llm/"  # how the ids of our own weights begin


class CatalogueError(ValueError):
    """A catalogue file or a model's folder is not what it must be; the message names file, field and remedy."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file of a model, or its folder, and what is wrong with it: the thing and the remedy; None: as listed."""

    path: Path
    flaw: str | None = None


@dataclass(frozen=True)
class Served:
    """What one model is served from, found on this machine."""

    entry: ModelEntry
    serving: Serving
    directory: Path
    adapter_directory: Path | None
    stand_in: bool

    @cached_property
    def identity(self) -> Identity:
        """What its generations are known by. Of a stand-in's knowledge nobody can say up to when it reaches."""
        engine = self.serving.engine
        bits = {"quantization": engine.quantization, "kv_cache_dtype": engine.kv_cache_dtype}
        return Identity(
            template=self.serving.template,
            tokenizer=_digest_of(self.serving.weights, _is_tokenizer),
            weights=_digest_of(self.serving.weights, lambda name: not _is_tokenizer(name), bits),
            adapter=None if self.serving.adapter is None else _digest_of(self.serving.adapter, lambda _: True),
            answer_tokens_max=engine.answer_tokens_max,
            knowledge_cutoff=None if self.stand_in else self.entry.knowledge_cutoff,
        )

    def used(self, engine: str, as_of_ms: int) -> ModelUsed:
        """The model as a decision names it, for a context that describes the market at `as_of_ms`."""
        adapter = self.serving.adapter
        return ModelUsed(
            name=self.entry.name,
            id=self.serving.weights.id,
            revision=self.serving.weights.revision,
            adapter=None if adapter is None else f"{adapter.id}@{adapter.revision}",
            engine=engine,
            cutoff=self.identity.cutoff(as_of_ms),
        )

    def parts(self, prompt: Prompt, mode: AnswerMode) -> GenerationParts:
        """The digests that tell one generation from another."""
        return self.identity.parts(prompt, mode)

    def verify(self) -> None:
        """Raises CatalogueError unless every file is there, is the one of the digest, and nothing else is."""
        for checked in self.check():
            if checked.flaw is not None:
                raise CatalogueError(checked.flaw)

    def check(self) -> Iterator[Checked]:
        """Every file, as soon as it was read."""
        yield from _check(self.entry.name, self.serving.weights, self.directory)
        if self.serving.adapter is not None and self.adapter_directory is not None:
            yield from _check(self.entry.name, self.serving.adapter, self.adapter_directory)

    def disk_bytes(self) -> int:
        """The size of all files in its folders; 0 for a folder that is not there."""
        folders = [folder for folder in (self.directory, self.adapter_directory) if folder is not None]
        return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


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


def _check(name: str, weights: Weights, directory: Path) -> Iterator[Checked]:
    if not directory.is_dir():
        yield Checked(directory, f"{name}: the folder {directory} is missing; {_remedy(weights)}")
        return
    if not weights.files:
        yield Checked(
            directory,
            f"{name}: {directory} is there, but the catalogue has no digests of {weights.id}: prepare it "
            "(`trading-llm models prepare`), or list each file with its sha256 under [weights.files]; "
            "or remove the folder to serve the stand-in",
        )
        return
    there = {path.relative_to(directory).as_posix(): path for path in sorted(directory.rglob("*")) if not path.is_dir()}
    for relative, path in there.items():
        yield Checked(path, _flaw(name, weights, path, relative))
    for relative in sorted(set(weights.files) - set(there)):
        path = directory / relative
        yield Checked(path, f"{name}: {path} is missing; {_remedy(weights)}")


def _remedy(weights: Weights) -> str:
    if weights.id.startswith(STAND_INS):
        return "stand-ins are made by `make stand-ins`"
    return f"fetch {weights.id} again, and prepare it (`trading-llm models prepare`)"


def _flaw(name: str, weights: Weights, path: Path, relative: str) -> str | None:
    if path.suffix in CODE_SUFFIXES:
        return f"{name}: {path} could run code when it is read; remove it: {WEIGHT_SUFFIX} is served"
    if relative not in weights.files:
        return f"{name}: {path} is not in the catalogue; remove it, or list it with its sha256"
    if sha256_of(path) != weights.files[relative]:
        return f"{name}: {path} is not the file of the catalogue's sha256; {_remedy(weights)}"
    if path.name == "config.json" and CODE_KEY in json.loads(path.read_bytes()):
        return f"{name}: {path} names code to run ({CODE_KEY}); remove that key, then renew its sha256"
    return None


def sha256_of(path: Path) -> str:
    """The file's digest as the catalogue lists it."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _is_tokenizer(name: str) -> bool:
    return "token" in name or name.startswith("chat_template") or name in ("vocab.json", "merges.txt")


def _digest_of(weights: Weights, wanted: Callable[[str], bool], told: Mapping[str, str | None] | None = None) -> str:
    """What is told beside the files counts where it is not None: a name without a dot is no file's."""
    files = {name: sha for name, sha in weights.files.items() if wanted(name)}
    return digest(canonical_json(files | {name: value for name, value in (told or {}).items() if value is not None}))
