"""Tiny folders that look like what a model's makers publish."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from backbone.settings import REPOSITORY
from schemas.catalogue import ModelEntry
from workers.catalogue import load_catalogue

CATALOGUE = REPOSITORY / "deploy" / "models"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def entry(name: str) -> ModelEntry:
    """A model of the project's own catalogue."""
    return load_catalogue(CATALOGUE)[name]


def copied_catalogue(folder: Path) -> Path:
    """The catalogue's files, to be written into."""
    folder.mkdir()
    for path in CATALOGUE.glob("*.toml"):
        shutil.copy(path, folder)
    return folder


def config(of: ModelEntry) -> dict[str, Any]:
    """The config.json that the catalogue's architecture was read from, as far as it is compared."""
    built = of.architecture
    told: dict[str, Any] = {"num_hidden_layers": built.layers, "num_attention_heads": built.attention_heads}
    if built.latent_size is not None:
        return told | {"kv_lora_rank": built.latent_size - 64, "qk_rope_head_dim": 64}
    assert built.head_size is not None
    return told | {"num_key_value_heads": built.kv_heads, "hidden_size": built.head_size * built.attention_heads}


def model(folder: Path, of: ModelEntry, shards: int = 2) -> Path:
    """A snapshot of weights in so many parts, with what repositories hold beside."""
    folder.mkdir()
    names = [f"model-{part:05}-of-{shards:05}.safetensors" for part in range(1, shards + 1)]
    for name in names:
        safetensors(folder / name)
    write(folder / "model.safetensors.index.json", {"weight_map": {f"w{at}": name for at, name in enumerate(names)}})
    write(folder / "config.json", config(of) | {"auto_map": {"AutoModel": "modeling.Model"}, "note": "é"})
    write(folder / "tokenizer.json", {"model": {}})
    write(folder / "tokenizer_config.json", {"model_max_length": 4096})
    (folder / "tokenizer.model").write_bytes(b"\x0a\x05")
    for name in ("modeling.py", "README.md", "pytorch_model.bin", ".gitattributes"):
        (folder / name).write_text("print('never')")
    write(folder / "pytorch_model.bin.index.json", {"weight_map": {"w": "pytorch_model.bin"}})
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.00.pth").write_bytes(b"")
    return folder


def adapter(folder: Path, rank: int = 8) -> Path:
    """A snapshot of an adapter as safetensors."""
    folder.mkdir()
    write(folder / "adapter_config.json", {"peft_type": "LORA", "r": rank, "auto_map": None})
    safetensors(folder / "adapter_model.safetensors")
    (folder / "README.md").write_text("an adapter")
    return folder


def safetensors(path: Path) -> None:
    """One tensor of one number."""
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def write(path: Path, value: object) -> None:
    """As JSON."""
    path.write_text(json.dumps(value))
