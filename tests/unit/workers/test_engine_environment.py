"""What a worker sets before vLLM and its libraries are imported."""

from __future__ import annotations

import os

import pytest

from schemas.catalogue import EngineArguments
from workers.engine_environment import prepare

pytestmark = pytest.mark.unit

TOUCHED = ("TORCHDYNAMO_DISABLE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "OMP_NUM_THREADS")


def arguments(*, eager: bool) -> EngineArguments:
    return EngineArguments(dtype="float32", context_tokens=512, answer_tokens_max=64, enforce_eager=eager)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the environment, without what `prepare` sets."""
    monkeypatch.setattr(os, "environ", {name: value for name, value in os.environ.items() if name not in TOUCHED})


def test_an_eager_engine_needs_no_compiler_on_the_machine() -> None:
    prepare(arguments(eager=True))
    assert os.environ["TORCHDYNAMO_DISABLE"] == "1"


def test_an_engine_that_is_not_eager_may_compile() -> None:
    prepare(arguments(eager=False))
    assert "TORCHDYNAMO_DISABLE" not in os.environ


def test_no_model_is_fetched_whatever_the_environment_said_before() -> None:
    os.environ["HF_HUB_OFFLINE"] = "0"
    prepare(arguments(eager=True))
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
