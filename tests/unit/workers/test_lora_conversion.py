"""An adapter's pickle becomes safetensors with the same numbers, and nothing in it is ever run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workers.catalogue import CatalogueError
from workers.lora_conversion import convert

pytestmark = pytest.mark.unit


class Bomb:
    """What a pickle can do when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_the_numbers_are_the_same_also_where_tensors_share_memory_or_are_turned(tmp_path: Path) -> None:
    whole = torch.arange(12, dtype=torch.float16).reshape(3, 4)
    told = {"a.lora_A.weight": whole, "a.lora_B.weight": whole.t(), "b.lora_A.weight": whole[1:]}
    torch.save(told, tmp_path / "adapter_model.bin")
    convert(tmp_path / "adapter_model.bin", tmp_path / "out.safetensors")
    read = load_file(tmp_path / "out.safetensors")
    assert read.keys() == told.keys()
    assert all(torch.equal(read[name], told[name]) and read[name].dtype == torch.float16 for name in told)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, write: object) -> None:
    mark = tmp_path / "ran"
    write({"a": Bomb(mark)}, tmp_path / "adapter_model.bin")  # type: ignore[operator]
    with pytest.raises(CatalogueError, match=r"is not only tensors.*take an adapter that ships as safetensors"):
        convert(tmp_path / "adapter_model.bin", tmp_path / "out.safetensors")
    assert not mark.exists() and not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, {1: torch.ones(1)}, torch.ones(1)])
def test_anything_but_tensors_by_name_is_refused(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "adapter_model.bin")
    with pytest.raises(CatalogueError, match="holds something else than tensors by name"):
        convert(tmp_path / "adapter_model.bin", tmp_path / "out.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_one_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "adapter_model.bin"
    torch.save({"a": torch.ones(64, 64)}, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CatalogueError, match="is not only tensors, or is cut short"):
        convert(path, tmp_path / "out.safetensors")
