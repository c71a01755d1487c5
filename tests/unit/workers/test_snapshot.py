"""A snapshot is taken only whole, and only what of it is data; whatever is odd is named with the remedy."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers import snapshots
from tests.unit.workers.snapshots import entry, write
from workers.catalogue import CatalogueError
from workers.snapshot import look_through
from workers.snapshot_check import _missing_shards

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return snapshots.model(tmp_path / "snapshot", entry("phi3"))


def refused(folder: Path, model: str = "phi3") -> str:
    with pytest.raises(CatalogueError) as caught:
        look_through(folder, entry(model))
    return str(caught.value)


def test_safetensors_tokenizer_and_json_are_kept_and_all_else_is_named(folder: Path) -> None:
    found = look_through(folder, entry("phi3"))
    assert found.part == "weights" and found.convert is None
    assert found.kept == (
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    )
    assert found.skipped == (
        ".gitattributes", "README.md", "modeling.py", "original", "pytorch_model.bin", "pytorch_model.bin.index.json",
    )  # fmt: skip


@pytest.mark.parametrize("model", ["deepseek", "qwen", "fingpt", "phi3"])
def test_each_models_own_numbers_are_recognised(tmp_path: Path, model: str) -> None:
    assert look_through(snapshots.model(tmp_path / "s", entry(model)), entry(model)).weights == entry(model).weights


def test_another_models_folder_is_refused(folder: Path) -> None:
    assert re.search(r"config.json: architecture.layers is 28 in the catalogue, and 32 here; is this Q", refused(folder, "qwen"))
    assert "latent_size is 576" in refused(snapshots.model(folder.parent / "d", mla_with(500)), "deepseek")


def mla_with(rank: int) -> object:
    found = entry("deepseek")
    return found.model_copy(update={"architecture": found.architecture.model_copy(update={"latent_size": rank})})


def edit_config(folder: Path, **changed: object) -> None:
    path = folder / "config.json"
    write(path, json.loads(path.read_bytes()) | changed)


@pytest.mark.parametrize("changed", [{"num_hidden_layers": None}, {"hidden_size": "large"}, {"num_key_value_heads": 8}])
def test_a_config_with_other_numbers_is_refused(folder: Path, changed: dict[str, object]) -> None:
    edit_config(folder, **changed)
    assert "mend the catalogue" in refused(folder)


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "model-00002-of-00002.safetensors").unlink(), r"names model-00002-of-00002.safetensors, which"),
        (lambda f: write(f / "model.safetensors.index.json", {"weight_map": {"w": "../x.safetensors"}}), r"names ../x"),
        (lambda f: write(f / "model.safetensors.index.json", {"weight_map": [1]}), r"names no files"),
        (lambda f: write(f / "model.safetensors.index.json", [1]), r"names no files"),
        (lambda f: write(f / "model.safetensors.index.json", {"weight_map": {"w": 1}}), r"names no files"),
        (lambda f: (f / "config.json").unlink(), r"config.json: is missing; fetch the repository again"),
        (lambda f: (f / "tokenizer_config.json").write_text("{"), r"tokenizer_config.json: is not JSON"),
        (lambda f: (f / "tokenizer_config.json").write_text("[" * 100_000), r"tokenizer_config.json: is not JSON"),
        (lambda f: [(f / name).unlink() for name in ("tokenizer.json", "tokenizer.model")], r"has no tokenizer"),
        (lambda f: os.mkfifo(f / "pipe.json"), r"pipe.json: is no ordinary file; remove it"),
    ],
)
def test_what_is_odd_is_refused_by_the_name_of_the_file(folder: Path, spoil: Spoil, message: str) -> None:
    spoil(folder)
    assert re.search(message, refused(folder))


def test_a_missing_part_is_named_also_without_an_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model-00001-of-00002.safetensors").unlink()
    assert "model-00001-of-00002.safetensors: is missing beside its other parts" in refused(folder)


def test_weights_that_are_no_safetensors_are_not_converted(folder: Path) -> None:
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    assert "has no .safetensors; fetch the repository's safetensors" in refused(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://example.invalid/spec/v1\noid sha256:00\nsize 7\n",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{}" + b"more",
        (2).to_bytes(8, "little") + b"[]",
        (8).to_bytes(8, "little") + b'{"w": 1}',
        (25).to_bytes(8, "little") + b'{"w":{"data_offsets":[]}}',
    ],
)
def test_a_file_that_is_cut_short_or_something_else_is_no_weights(folder: Path, content: bytes) -> None:
    (folder / "model-00001-of-00002.safetensors").write_bytes(content)
    assert "model-00001-of-00002.safetensors: is cut short, or no safetensors file" in refused(folder)


def test_a_link_inside_is_followed_and_one_that_leaves_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.model").rename(folder / "spiece.model")
    (folder / "tokenizer.model").symlink_to("spiece.model")
    assert "tokenizer.model" in look_through(folder, entry("phi3")).kept
    (tmp_path / "secret.json").write_text("{}")
    (folder / "generation_config.json").symlink_to(tmp_path / "secret.json")
    assert "generation_config.json: is a link that leaves its folder, or leads nowhere; copy" in refused(folder)


@pytest.mark.parametrize("target", ["nothing.json", "loop.json", "../../../.."])
def test_a_link_that_leads_nowhere_or_out_is_refused(folder: Path, target: str) -> None:
    (folder / "loop.json").symlink_to(target)
    assert "loop.json: is a link that leaves its folder, or leads nowhere" in refused(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert "is no folder; give the folder of a downloaded snapshot" in refused(tmp_path / "nothing")


def test_an_adapter_is_known_by_its_config(tmp_path: Path) -> None:
    found = look_through(snapshots.adapter(tmp_path / "a"), entry("fingpt"))
    assert (found.part, found.weights, found.convert) == ("adapter", entry("fingpt").adapter, None)
    assert (found.kept, found.skipped) == (("adapter_config.json", "adapter_model.safetensors"), ("README.md",))


def test_an_adapter_that_ships_as_a_pickle_is_to_be_converted(tmp_path: Path) -> None:
    folder = snapshots.adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    found = look_through(folder, entry("fingpt"))
    assert (found.convert, found.kept) == ("adapter_model.bin", ("adapter_config.json",))
    assert "adapter_model.bin" not in found.skipped


def test_an_adapter_for_a_model_without_one_is_refused(tmp_path: Path) -> None:
    assert "this is an adapter, and phi3 has none in the catalogue" in refused(snapshots.adapter(tmp_path / "a"))


def test_an_adapter_of_another_rank_is_refused(tmp_path: Path) -> None:
    message = refused(snapshots.adapter(tmp_path / "a", rank=16), "fingpt")
    assert "adapter_config.json: r is 16, and adapter.rank is 8 in the catalogue; is this FinGPT/" in message


def test_an_adapter_without_weights_is_refused(tmp_path: Path) -> None:
    folder = snapshots.adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").unlink()
    assert "has neither adapter_model.safetensors nor adapter_model.bin" in refused(folder, "fingpt")


@given(st.integers(1, 12), st.data())
def test_exactly_the_parts_that_were_taken_away_are_missed(parts: int, data: st.DataObject) -> None:
    names = [f"model-{part:05}-of-{parts:05}.safetensors" for part in range(1, parts + 1)]
    left = data.draw(st.sets(st.sampled_from(names), min_size=1))
    assert _missing_shards([*left, "lone.safetensors"]) == sorted(set(names) - left)
