"""The real models' shapes without their weights: what speed and memory depend on, as the makers' `config.json` has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbone.settings import REPOSITORY
from tests.gpu import vocabulary
from workers.catalogue import Served, load_catalogue, serve, sha256_of
from workers.catalogue_file import with_files

CATALOGUE = REPOSITORY / "deploy" / "models"
REVISION = "shape"
COMMON: Mapping[str, Any] = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0, "torch_dtype": "bfloat16"}

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "qwen": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 3_584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152_064,
        "max_position_embeddings": 32_768,
        "rope_theta": 1_000_000.0,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    },
    "phi3": {
        "architectures": ["Phi3ForCausalLM"],
        "model_type": "phi3",
        "hidden_size": 3_072,
        "intermediate_size": 8_192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32_064,
        "max_position_embeddings": 4_096,
        "rope_theta": 10_000.0,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    },
}
# A shape that a laptop computes: it shows that the measure works, and nothing of speed.
TINY: Mapping[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 8_192,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A catalogue in which one model's folder holds a configuration and a tokenizer, with their digests, and no weights."""

    model: str
    catalogue: Path
    weights: Path

    @property
    def served(self) -> Served:
        """The model as a worker finds it."""
        return serve(load_catalogue(self.catalogue)[self.model], self.catalogue, self.weights)

    @property
    def environment(self) -> dict[str, str]:
        """What tells a process of this catalogue."""
        return {"TRADING_LLM_CATALOGUE": str(self.catalogue), "TRADING_LLM_WEIGHTS": str(self.weights)}


def lay_out(model: str, folder: Path, *, tiny: bool = False) -> Shape:
    """Write that catalogue and that folder; KeyError for a model whose shape is not here."""
    config = {**COMMON, **SHAPES[model], **(TINY if tiny else {})}
    weights = folder / "weights" / model
    weights.mkdir(parents=True)
    vocabulary.save(weights)
    (weights / "config.json").write_text(json.dumps(config, indent=1))
    shutil.copytree(CATALOGUE, folder / "catalogue", ignore=shutil.ignore_patterns("stand_ins"))
    file = folder / "catalogue" / f"{model}.toml"
    files = {path.name: sha256_of(path) for path in weights.iterdir()}
    file.write_text(with_files(file.read_text(encoding="utf-8"), "weights", REVISION, files), encoding="utf-8")
    return Shape(model, folder / "catalogue", folder / "weights")
