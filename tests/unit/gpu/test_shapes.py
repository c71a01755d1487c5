"""The shapes that a GPU is measured with are the real models', and stand in a catalogue that a worker accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gpu.found import Found, table
from tests.gpu.shapes import CATALOGUE, SHAPES, lay_out
from workers.catalogue import CatalogueError, load_catalogue


@pytest.mark.parametrize("model", sorted(SHAPES))
def test_a_shape_has_the_numbers_of_the_catalogue(model: str) -> None:
    shape, numbers = SHAPES[model], load_catalogue(CATALOGUE)[model].architecture
    assert shape["num_hidden_layers"] == numbers.layers
    assert shape["num_attention_heads"] == numbers.attention_heads
    assert shape["num_key_value_heads"] == numbers.kv_heads
    assert shape["hidden_size"] / shape["num_attention_heads"] == numbers.head_size


def test_what_is_laid_out_is_served_as_the_real_model_and_watched_as_closely(tmp_path: Path) -> None:
    served = lay_out("qwen", tmp_path, tiny=True).served
    served.verify()
    assert not served.stand_in
    (served.directory / "config.json").write_text("{}")
    with pytest.raises(CatalogueError, match=r"config\.json is not the file"):
        served.verify()


def test_a_table_sets_each_way_beside_generate() -> None:
    found = [
        Found("worker", "full-1000", 100, 20.0, 100_000, 40_000, 5_000),
        Found("generate", "full-1000", 100, 16.0, 100_000, 0, 5_000),
    ]
    rows = table(found).splitlines()
    assert rows[2] == "| full-1000 | generate | 100 | 16.0 | 6.2 | 1.00 | 312 | 1,000 | 0% |"
    assert rows[3] == "| full-1000 | worker | 100 | 20.0 | 5.0 | 0.80 | 250 | 1,000 | 40% |"
