"""Settings come from the environment, under the names that users know, and are checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from backbone.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENABLE_LLM_TRADING", "MIN_LLM_CONFIDENCE", "LLM_ENDPOINT", "TRADING_LLM_MODELS"):
        monkeypatch.delenv(name, raising=False)


def test_the_names_users_know_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_LLM_TRADING", "false")
    monkeypatch.setenv("MIN_LLM_CONFIDENCE", "0.85")
    monkeypatch.setenv("LLM_ENDPOINT", "http://127.0.0.1:1")
    settings = Settings()
    assert (settings.enable_llm_trading, settings.min_llm_confidence) == (False, 0.85)
    assert settings.llm_endpoint == "http://127.0.0.1:1"


def test_models_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_LLM_MODELS", " phi3, qwen ,")
    assert Settings().models == ("phi3", "qwen")


@pytest.mark.parametrize(("name", "value"), [
    ("MIN_LLM_CONFIDENCE", "1.5"), ("MIN_LLM_CONFIDENCE", "nan"), ("TRADING_LLM_ORDINAL", "-1"),
    ("TRADING_LLM_HTTP_PORT", "70000"), ("TRADING_LLM_ENGINE", "other"), ("TRADING_LLM_HUNG_S", "0"),
])  # fmt: skip
def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_LLM_KAFKA_SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("TRADING_LLM_REDIS_URL", "redis://:hunter2@127.0.0.1/0")
    assert "hunter2" not in repr(Settings())


def test_a_lane_is_given_up_before_the_broker_ends_its_transaction() -> None:
    assert Settings().commit_doubt_s < Settings().transaction_timeout_s


def test_a_stopping_process_ends_within_the_supervisors_grace() -> None:
    assert Settings().drain_s < 15


def test_the_catalogue_names_every_model_also_those_that_do_not_run(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.toml").touch()
    assert Settings(catalogue=tmp_path, models=("a",)).catalogue_names == ("a", "b")
