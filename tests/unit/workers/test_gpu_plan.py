"""A worker starts with its share of the card, or says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backbone.errors import Fatal
from backbone.settings import Settings
from deciders.identity import generation_key
from deciders.prompt import Prompt
from tests.unit.workers.snapshots import CATALOGUE, entry
from workers.__main__ import _build
from workers.catalogue import CatalogueError, Served, serve
from workers.gpu_memory import Wish, reckon
from workers.gpu_plan import read_plan, with_share

pytestmark = pytest.mark.unit


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder in which real weights lie, as far as anybody looks before they are read."""
    (tmp_path / "weights" / "phi3").mkdir(parents=True)
    return tmp_path / "weights"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "gpu.json"
    written.write_text(reckon([entry("phi3"), entry("qwen")], 80, Wish("fp8", "fp8")).plan().model_dump_json())
    return written


def real(weights: Path) -> Served:
    return serve(entry("phi3"), CATALOGUE, weights)


def test_a_plan_is_read_back_as_it_was_written(path: Path) -> None:
    assert read_plan(path) == reckon([entry("phi3"), entry("qwen")], 80, Wish("fp8", "fp8")).plan()


def test_an_engine_gets_its_share_and_keeps_all_else(path: Path, weights: Path) -> None:
    before, engine = real(weights).serving.engine, with_share(real(weights), path).serving.engine
    assert (engine.quantization, engine.kv_cache_dtype, engine.kv_cache_bytes) == ("fp8", "fp8", 16 * 4_096 * 196_608)
    assert engine.gpu_memory_utilization == pytest.approx(0.243)
    assert (engine.context_tokens, engine.answer_tokens_max, engine.dtype) == (before.context_tokens, 160, "auto")


def test_without_a_plan_and_for_a_stand_in_nothing_changes(path: Path, weights: Path) -> None:
    stand_in = serve(entry("phi3"), CATALOGUE, None)
    assert with_share(real(weights), None) == real(weights) and with_share(stand_in, path) == stand_in


def test_fewer_bits_are_another_generation(path: Path, weights: Path) -> None:
    plain, small = real(weights), with_share(real(weights), path)
    one, other = (generation_key(served.parts(Prompt("a", "b"), "full")) for served in (plain, small))
    assert one != other


def test_a_model_without_a_share_is_refused(tmp_path: Path, path: Path) -> None:
    (tmp_path / "weights" / "fingpt").mkdir(parents=True)
    served = serve(entry("fingpt"), CATALOGUE, tmp_path / "weights")
    with pytest.raises(CatalogueError, match=r"gpu.json: has no share for fingpt: .*trading-llm models plan --write"):
        with_share(served, path)


@pytest.mark.parametrize("name", ["context_tokens", "concurrency"])
def test_a_plan_that_was_made_for_other_sizes_is_refused(path: Path, weights: Path, name: str) -> None:
    told = json.loads(path.read_text())
    told["models"]["phi3"][name] -= 1
    path.write_text(json.dumps(told))
    with pytest.raises(CatalogueError, match=rf"was made for phi3 with {name} = \d+, which is \d+ now"):
        with_share(real(weights), path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "file: Invalid JSON"),
        ("{}", "gpu_gb: Field required"),
        ('{"gpu_gb": 80, "models": {"phi3": {"share": 1}}}', "models.phi3"),
        ('{"gpu_gb": 80, "models": {}, "more": 1}', "more: Extra inputs"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_the_remedy(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(CatalogueError, match=rf"gpu.json: {message}.*write it again: `trading-llm models plan --write`"):
        read_plan(path)


def test_a_worker_does_not_start_without_the_plan_it_was_told_of(weights: Path, tmp_path: Path) -> None:
    settings = Settings(model="phi3", engine="scripted", weights=weights, gpu_plan=tmp_path / "nothing.json")
    with pytest.raises(Fatal, match=r"TRADING_LLM_GPU_PLAN=.*nothing.json: No such file or directory; write it again"):
        _build(settings)
