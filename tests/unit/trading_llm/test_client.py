"""The client library: what a bot's environment makes of its questions."""

from __future__ import annotations

from typing import Any

import pytest

from backbone.settings import Settings
from gateway.problems import Problem
from schemas.decision import Action, Status
from trading_llm import Client

pytestmark = pytest.mark.unit

EVENT: dict[str, Any] = {"context": {"price": 45000}, "bot_id": "bot", "symbol": "BTCUSDT"}
NOWHERE = {"kafka_bootstrap": "127.0.0.1:1", "llm_endpoint": "http://127.0.0.1:1"}


def client(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Client:
    for name in ("ENABLE_LLM_TRADING", "MIN_LLM_CONFIDENCE", "LLM_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Client("kafka", Settings(**NOWHERE))  # type: ignore[arg-type]


async def test_where_trading_is_disabled_nothing_is_asked_and_the_answer_is_halted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, ENABLE_LLM_TRADING="false") as disabled:
        decision = await disabled.decide(EVENT | {"context_id": "one"})
    assert (decision.status, decision.action, decision.context_id) == (Status.HALTED, Action.HOLD, "one")
    assert decision.reason == "settings: ENABLE_LLM_TRADING is false"
    assert decision.price_ref == 45000


async def test_a_broken_question_is_refused_even_where_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, ENABLE_LLM_TRADING="false") as disabled:
        with pytest.raises(Problem, match="price"):
            await disabled.decide(EVENT | {"context": {"price": -1}})


@pytest.mark.parametrize(("own", "sent"), [(None, 0.8), (0.5, 0.8), (0.9, 0.9), ("high", "high")])
def test_the_environments_threshold_is_sent_unless_the_question_asks_for_more(
    monkeypatch: pytest.MonkeyPatch, own: object, sent: object
) -> None:
    limits = {} if own is None else {"risk_limits": {"min_confidence": own}}
    event = client(monkeypatch, MIN_LLM_CONFIDENCE="0.8")._with_threshold(EVENT | limits)
    assert event["risk_limits"]["min_confidence"] == sent


def test_without_a_threshold_in_the_environment_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client(monkeypatch)._with_threshold(EVENT) == EVENT


async def test_a_client_over_kafka_says_that_it_must_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await client(monkeypatch).decide(EVENT)
