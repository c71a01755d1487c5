"""Taking a snapshot into service: copied, converted, stripped of code, its digests in the catalogue; whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from workers.catalogue import CODE_KEY, CatalogueError, sha256_of
from workers.catalogue_file import with_files
from workers.snapshot import ADAPTER_WEIGHTS, Snapshot

ROOM_BYTES = 1 << 28  # left on the disk beside the copy


def prepare(snapshot: Snapshot, target: Path, entry_file: Path, revision: str) -> dict[str, str]:
    """Copy what is kept to `target`, and list it in `entry_file`; answers each file's sha256.

    1. everything is written into a folder beside the target, which nobody reads;
    2. the catalogue's new text is written beside its file;
    3. the folder gets its name, then the file. Who is killed in between leaves a folder that no worker serves, since its
       digests are not listed: remove it and prepare again.
    """
    _check_place(snapshot, target)
    building, draft = target.with_name(f".{target.name}.preparing"), entry_file.with_name(f".{entry_file.name}.preparing")
    if building.exists():
        shutil.rmtree(building)  # of one that was killed
    try:
        building.mkdir()
        _fill(building, snapshot)  # 1
        files = {path.name: sha256_of(path) for path in sorted(building.iterdir())}
        draft.write_text(_text(entry_file, snapshot, revision, files), encoding="utf-8")  # 2
        shutil.copymode(entry_file, draft)
        _put(building, target, draft, entry_file)  # 3
    finally:
        shutil.rmtree(building, ignore_errors=True)
        draft.unlink(missing_ok=True)
    return files


def _check_place(snapshot: Snapshot, target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise CatalogueError(f"{target}: is there already; `trading-llm models verify` tells whether it is sound, else remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    free, wanted = shutil.disk_usage(target.parent).free, snapshot.size_bytes + ROOM_BYTES
    if free < wanted:
        raise CatalogueError(f"{target.parent}: has {free / 1e9:.1f} GB free, and {wanted / 1e9:.1f} are needed; make room")


def _fill(building: Path, snapshot: Snapshot) -> None:
    for name in snapshot.kept:
        shutil.copyfile(snapshot.directory / name, building / name)
        if name.endswith(".json"):
            _strip(building / name)
    if snapshot.convert is not None:
        _convert(snapshot.directory / snapshot.convert, building / ADAPTER_WEIGHTS)


def _strip(path: Path) -> None:
    """Without the names of code to run. A file that has none stays as it came, byte for byte."""
    found = json.loads(path.read_bytes())
    if isinstance(found, dict) and CODE_KEY in found:
        del found[CODE_KEY]
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _convert(source: Path, target: Path) -> None:
    try:
        from workers.lora_conversion import convert
    except ModuleNotFoundError as error:
        raise CatalogueError(f"{source}: converting it needs {error.name}; install it with `make setup`") from None
    convert(source, target)


def _text(entry_file: Path, snapshot: Snapshot, revision: str, files: dict[str, str]) -> str:
    try:
        return with_files(entry_file.read_text(encoding="utf-8"), snapshot.part, revision, files)
    except CatalogueError as error:
        raise CatalogueError(f"{entry_file}: {error}") from None


def _put(building: Path, target: Path, draft: Path, entry_file: Path) -> None:
    building.rename(target)
    try:
        draft.replace(entry_file)
    except OSError:
        target.rename(building)  # and away with it
        raise
