"""An adapter that ships as a pickle, made into safetensors. The only place that reads a pickle, and it runs no code in it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from workers.catalogue import CatalogueError

REMEDY = "take an adapter that ships as safetensors"


def convert(source: Path, target: Path) -> None:
    """Write the tensors of `source` to `target`; CatalogueError where it holds anything but tensors by name."""
    try:
        found: Any = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        why = str(error).strip().partition("\n")[0]
        raise CatalogueError(f"{source}: is not only tensors, or is cut short ({why}); {REMEDY}") from None
    if not isinstance(found, dict) or not found or not all(_is_tensor(*pair) for pair in found.items()):
        raise CatalogueError(f"{source}: holds something else than tensors by name; {REMEDY}")
    # Copies: tensors that share memory cannot be written, and an adapter is small.
    save_file({name: tensor.contiguous().clone() for name, tensor in found.items()}, target, metadata={"format": "pt"})


def _is_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)
