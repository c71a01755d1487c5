"""A snapshot is taken into service whole or not at all, and what was taken is what a worker accepts."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.workers import snapshots
from tests.unit.workers.snapshots import COMMIT, entry
from workers import preparing
from workers.catalogue import CatalogueError, load_catalogue, serve
from workers.preparing import prepare
from workers.snapshot import look_through

pytestmark = pytest.mark.unit


class Place:
    """A snapshot of Phi-3, a catalogue to write into, and where its weights will lie."""

    def __init__(self, root: Path) -> None:
        self.catalogue = snapshots.copied_catalogue(root / "catalogue")
        self.snapshot = snapshots.model(root / "snapshot", entry("phi3"))
        self.weights = root / "deep" / "weights"
        self.target = self.weights / "phi3"
        self.file = self.catalogue / "phi3.toml"
        self.text = self.file.read_text()

    def prepare(self) -> dict[str, str]:
        return prepare(look_through(self.snapshot, entry("phi3")), self.target, self.file, COMMIT)

    def assert_untouched(self) -> None:
        assert self.file.read_text() == self.text
        assert not self.weights.exists() or list(self.weights.iterdir()) == []
        assert sorted(path.suffix for path in self.catalogue.iterdir()) == [".toml"] * 4


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_was_prepared_is_served_and_verified(place: Place) -> None:
    files = place.prepare()
    served = serve(load_catalogue(place.catalogue)["phi3"], place.catalogue, place.weights)
    served.verify()
    assert not served.stand_in and served.serving.weights.revision == COMMIT
    assert files == served.serving.weights.files and {path.name for path in place.target.iterdir()} == set(files)
    assert "modeling.py" not in files and "pytorch_model.bin" not in files
    assert list(place.weights.iterdir()) == [place.target]


def test_what_names_code_is_stripped_and_all_else_stays_byte_for_byte(place: Place) -> None:
    place.prepare()
    before, after = (json.loads((folder / "config.json").read_bytes()) for folder in (place.snapshot, place.target))
    assert before.pop("auto_map") and before == after and after["note"] == "é"
    for path in place.target.iterdir():
        assert path.name == "config.json" or path.read_bytes() == (place.snapshot / path.name).read_bytes()


def test_a_key_that_names_no_code_but_could_is_stripped_too(place: Place) -> None:
    snapshots.write(place.snapshot / "tokenizer_config.json", {"auto_map": None, "x": 1})
    place.prepare()
    assert json.loads((place.target / "tokenizer_config.json").read_bytes()) == {"x": 1}


def test_a_link_inside_the_snapshot_becomes_a_file(place: Place) -> None:
    (place.snapshot / "spiece.model").symlink_to("tokenizer.model")
    place.prepare()
    assert not (place.target / "spiece.model").is_symlink()


def test_what_is_there_already_is_never_overwritten(place: Place) -> None:
    place.prepare()
    before = place.file.read_text()
    with pytest.raises(CatalogueError, match="phi3: is there already; `trading-llm models verify` tells"):
        place.prepare()
    assert place.file.read_text() == before and (place.target / "config.json").exists()


def test_a_link_in_the_targets_place_is_not_written_through(place: Place) -> None:
    place.weights.mkdir(parents=True)
    place.target.symlink_to("nowhere")
    with pytest.raises(CatalogueError, match="is there already"):
        place.prepare()


@pytest.mark.parametrize("step", ["_fill", "sha256_of", "_text", "_put"])
def test_one_that_is_interrupted_at_any_step_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    done = getattr(preparing, step)

    def interrupted(*arguments: Any) -> None:
        if step == "_fill":
            done(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(preparing, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.prepare()
    place.assert_untouched()
    monkeypatch.setattr(preparing, step, done)
    place.prepare()


def test_a_catalogue_that_cannot_be_written_takes_the_folder_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(draft: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        place.prepare()
    place.assert_untouched()


def test_what_a_killed_one_left_is_cleared_away(place: Place) -> None:
    left = place.weights / ".phi3.preparing"
    left.mkdir(parents=True)
    (left / "half.safetensors").write_bytes(b"half")
    assert "half.safetensors" not in place.prepare()
    assert not left.exists()


def test_a_disk_without_room_is_named_before_anything_is_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(place.snapshot)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(CatalogueError, match=r"has 0\.0 GB free, and 0\.3 are needed; make room"):
        place.prepare()
    place.assert_untouched()


def test_a_catalogue_file_that_cannot_be_edited_safely_is_named(place: Place) -> None:
    place.text = place.text.replace("[weights.files]", "").replace('revision = "unprepared"', "revision = 'unprepared'")
    place.file.write_text(place.text)
    with pytest.raises(CatalogueError, match=r"phi3.toml: \[weights.files\] cannot be edited safely"):
        place.prepare()
    place.assert_untouched()


def test_an_adapter_that_ships_as_a_pickle_is_served_as_safetensors(tmp_path: Path) -> None:
    catalogue, folder = snapshots.copied_catalogue(tmp_path / "catalogue"), snapshots.adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"a": torch.ones(2, 3)}, folder / "adapter_model.bin")
    file, target = catalogue / "fingpt.toml", tmp_path / "weights" / "fingpt-adapter"
    files = prepare(look_through(folder, entry("fingpt")), target, file, COMMIT)
    assert set(files) == {"adapter_config.json", "adapter_model.safetensors"} == {path.name for path in target.iterdir()}
    assert tomllib.loads(file.read_text())["adapter"]["files"] == files
    assert "auto_map" not in (target / "adapter_config.json").read_text()


def test_a_pickle_that_would_run_code_leaves_nothing_behind(tmp_path: Path) -> None:
    catalogue, folder = snapshots.copied_catalogue(tmp_path / "catalogue"), snapshots.adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"a": Path("/")}, folder / "adapter_model.bin")
    with pytest.raises(CatalogueError, match=r"adapter_model.bin: is not only tensors"):
        prepare(look_through(folder, entry("fingpt")), tmp_path / "w" / "x", catalogue / "fingpt.toml", COMMIT)
    assert list((tmp_path / "w").iterdir()) == []


def test_a_machine_without_the_library_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "workers.lora_conversion", raising=False)
    with pytest.raises(CatalogueError, match="converting it needs torch; install it with `make setup`"):
        preparing._convert(tmp_path / "adapter_model.bin", tmp_path / "adapter_model.safetensors")
