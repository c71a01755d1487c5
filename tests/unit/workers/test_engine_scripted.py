"""The scripted engine is an engine like any other: same prompt, same valid answer; and it fails as it is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from deciders.answer import Answer, AnswerMode, Asked, BadAnswer, read_answer
from deciders.prompt import Prompt
from workers.catalogue import CatalogueError, load_catalogue, serve
from workers.engine import Ask, Engine, EngineDied, EngineFailed, build_engine

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "models"
ASKED = Asked(symbol="BTCUSDT", price_ref=100.0, mode="full", default_size_pct=0.01)


def engine(**script: Any) -> Engine:
    served = serve(load_catalogue(FOLDER)["qwen"], FOLDER, None)
    return build_engine("scripted", served, json.dumps(script))


def ask(text: str, mode: AnswerMode = "full") -> Ask:
    return Ask(text, Prompt("Decide.", text), mode)


async def test_the_same_prompt_has_the_same_answer() -> None:
    first, second = engine(), engine()
    assert [await first.ask(ask(str(n))) for n in range(50)] == [await second.ask(ask(str(n))) for n in range(50)]


@pytest.mark.parametrize("mode", ["full", "label"])
async def test_its_answers_are_valid_varied_and_mostly_confident(mode: AnswerMode) -> None:
    raw = [await engine().ask(ask(str(n), mode)) for n in range(400)]
    answers = [read_answer(one, Asked("BTCUSDT", 100.0, mode, 0.01)) for one in raw]
    valid = [one for one in answers if isinstance(one, Answer)]
    assert len(valid) == 400
    assert {str(one.proposed.action) for one in valid} == {"BUY", "SELL", "HOLD", "CLOSE"}
    assert sum(one.confidence >= 0.7 for one in valid) > 280


async def test_both_modes_agree_on_the_action() -> None:
    for number in range(100):
        full, label = await engine().ask(ask(str(number))), await engine().ask(ask(str(number), "label"))
        assert json.loads(full.text)["action"] == label.text
        assert full.label_logprobs == label.label_logprobs


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("cut", "cut_off"), ("nan", "not_finite"), ("wrong_symbol", "wrong_symbol"), ("big", "too_long"), ("garbage", "raised")],
)
async def test_a_fault_strikes_the_prompts_that_hold_its_text_and_no_other(fault: str, outcome: str) -> None:
    struck = engine(faults={fault: "ETH"})
    bad = read_answer(await struck.ask(ask("symbol: ETHUSDT")), ASKED)
    assert isinstance(bad, BadAnswer) and bad.outcome == outcome
    assert isinstance(read_answer(await struck.ask(ask("symbol: BTCUSDT")), ASKED), Answer)


async def test_a_failed_request_leaves_the_engine_alive_and_a_death_does_not() -> None:
    failing, dying = engine(faults={"raise": "ETH"}), engine(faults={"die": "ETH"})
    with pytest.raises(EngineFailed):
        await failing.ask(ask("ETH"))
    await failing.ask(ask("BTC"))
    with pytest.raises(EngineDied):
        await dying.ask(ask("ETH"))
    with pytest.raises(EngineDied):
        await dying.ask(ask("BTC"))


async def test_a_hung_request_can_be_cancelled_and_holds_nobody_up() -> None:
    hanging = engine(faults={"hang": "ETH"})
    task = asyncio.create_task(hanging.ask(ask("ETH")))
    await hanging.ask(ask("BTC"))
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_tells_what_it_does() -> None:
    slow = engine(delay_ms=20)
    tasks = [asyncio.create_task(slow.ask(ask(str(n)))) for n in range(10)]
    await asyncio.sleep(0)
    at_first = slow.vitals()
    assert (at_first.running, at_first.waiting, at_first.steps, at_first.kv_use) == (8, 2, 0, 0.0)
    await asyncio.gather(*tasks)
    after = slow.vitals()
    assert (after.running, after.waiting, after.steps, after.alive) == (0, 0, 10, True)
    assert after.hungry_steps == 8, "after the first two there were still as many as it computes at once"
    assert after.sums is None, "it counts no tokens"


async def test_a_hung_request_is_no_step_and_a_dead_engine_says_so() -> None:
    struck = engine(faults={"hang": "ETH", "die": "SOL"})
    task = asyncio.create_task(struck.ask(ask("ETH")))
    await asyncio.sleep(0.01)
    assert (struck.vitals().running, struck.vitals().steps) == (1, 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (struck.vitals().running, struck.vitals().steps, struck.vitals().alive) == (0, 0, True)
    with pytest.raises(EngineDied):
        await struck.ask(ask("SOL"))
    assert not struck.vitals().alive


async def test_it_says_that_it_is_scripted_and_its_answers_have_keys_of_their_own() -> None:
    scripted = engine()
    served = serve(load_catalogue(FOLDER)["qwen"], FOLDER, None)
    assert (scripted.used(0).engine, scripted.used(0).name, scripted.concurrency) == ("scripted/1", "qwen", 8)
    assert scripted.parts(ask("a")).weights != served.parts(ask("a").prompt, "full").weights


@pytest.mark.parametrize("script", ["{", '{"delay": 1}', '{"faults": {"explode": "x"}}', '{"delay_ms": -1}'])
def test_a_script_with_a_mistake_is_refused_by_its_settings_name(script: str) -> None:
    served = serve(load_catalogue(FOLDER)["qwen"], FOLDER, None)
    with pytest.raises(CatalogueError, match="TRADING_LLM_SCRIPT"):
        build_engine("scripted", served, script)
