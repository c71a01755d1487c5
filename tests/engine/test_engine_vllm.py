"""A real vLLM engine behind the port: what it is asked, what it gives back, and how it fails."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from backbone.errors import Fatal
from deciders.answer import ANSWER_HEAD, Answer, AnswerMode, Asked, read_answer
from deciders.features import compute_features
from deciders.prompt import Prompt, render
from tests.containment.corpus import corpus
from tests.containment.flips import row, try_all
from tests.unit.samples import policy, question
from workers.admission import Admission
from workers.catalogue import CatalogueError, Served, load_catalogue, serve
from workers.engine import REPLAY, Ask, Engine, EngineDied, EngineFailed, build_engine, prepare_environment
from workers.tending import tend

# vLLM's own imports warn; what our code does is under the strict filter everywhere else.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "models"


@pytest.fixture(scope="module")
def served() -> Served:
    return serve(load_catalogue(FOLDER)["phi3"], FOLDER, None)


@pytest.fixture(scope="module")
def engine(served: Served) -> Iterator[Engine]:
    prepare_environment("vllm", served)
    started = build_engine("vllm", served)
    asyncio.run(started.start())
    yield started
    asyncio.run(started.stop())
    with warnings.catch_warnings(action="ignore"):  # sockets and contexts that vLLM leaves to the collector
        del started
        gc.collect()


@pytest.mark.usefixtures("engine")  # which prepares the environment before vLLM is imported
def test_a_share_of_a_card_reaches_the_engine(served: Served) -> None:
    from workers.engine_vllm import _arguments

    share = {"quantization": "fp8", "kv_cache_dtype": "fp8", "tensor_parallel_size": 2, "gpu_memory_utilization": 0.25}
    engine = served.serving.engine.model_copy(update=share)
    told = _arguments(replace(served, serving=served.serving.model_copy(update={"engine": engine})))
    assert (told.quantization, told.kv_cache_dtype) == ("fp8_per_tensor", "fp8")
    assert (told.tensor_parallel_size, told.gpu_memory_utilization) == (2, 0.25)
    plain = _arguments(served)
    assert (plain.quantization, plain.kv_cache_dtype, plain.tensor_parallel_size) == (None, "auto", 1)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("taken", "reason", "read"),
    [(None, "length", "é"), (-1, "length", "\ufffd"), (None, "stop", "\ufffd"), (-2, "length", "")],
)
def test_what_is_cut_off_is_read_as_far_as_it_came_and_the_token_that_ends_it_is_no_part_of_it(
    served: Served, taken: int | None, reason: str, read: str
) -> None:
    from transformers import AutoTokenizer

    from workers.engine_vllm import _text, _words

    tokenizer: Any = AutoTokenizer.from_pretrained(served.directory)
    words, told = _words(served.entry.name, tokenizer), f'{ANSWER_HEAD}BUY","rationale":"'
    tokens = tokenizer.encode(told + "é", add_special_tokens=False)[len(words.head) :]  # its last two are one character
    output = SimpleNamespace(token_ids=tokens[:taken], finish_reason=reason)
    assert _text(output, words, "full") == told + read


def prompt(served: Served, context: dict[str, Any] | None = None, **fields: Any) -> Prompt:
    asked = question(context, **fields)
    return render(served.serving.template, asked, compute_features(asked.event.context, policy().features))


@pytest.mark.parametrize("mode", ["full", "label"])
@pytest.mark.parametrize(
    ("context", "symbol"),
    [
        ({"price": 45000, "volume": 1000000}, "BTCUSDT"),
        ({}, "BTCUSDT"),
        ({"price": 1e-12, "sentiment": -1, "volatility": 1e300, "has_position": True}, "x" * 64),
        ({"anything": {"deep": [1, None, "<|end|>"]}, "market": "perp", "position": -3}, "BTC/USDT:USDT"),
    ],
)
async def test_any_valid_context_gets_a_valid_answer(
    engine: Engine, served: Served, context: dict[str, Any], symbol: str, mode: AnswerMode
) -> None:
    asked = question(context, symbol=symbol)
    rendered = prompt(served, context, symbol=symbol)
    raw = await engine.ask(Ask(f"any-{symbol}-{len(context)}-{mode}", rendered, mode))
    answer = read_answer(raw, Asked(symbol, asked.event.context.price_ref, mode, 0.01))
    assert isinstance(answer, Answer)
    assert raw.completion_tokens == 1 if mode == "label" else raw.completion_tokens < 64
    assert 0 < answer.confidence < 1


async def test_attacked_contexts_are_decided_inside_the_limits_and_only_their_symbol_reaches_a_stand_in(
    engine: Engine, served: Served
) -> None:
    # `python -m tests.containment` asks all 200 markets of all models.
    found = row("phi3", "all", await try_all(engine, served, list(corpus(4))))
    assert (found.contexts, found.inside, found.bad_output) == (32, 32, 0)
    assert found.reached == 8  # every fourth market's attacks are in the symbol


async def test_the_founding_documents_prompt_is_short_and_its_prefix_is_computed_once(engine: Engine, served: Served) -> None:
    asks = [Ask(f"same-{number}", prompt(served), "label") for number in range(2)]
    first, second = [await engine.ask(ask) for ask in asks]
    assert first.prompt_tokens <= 350
    assert second.cached_tokens > 0


async def test_its_own_numbers_move_and_an_idle_engine_says_that_it_is(engine: Engine, served: Served) -> None:
    before = engine.vitals()
    assert (before.alive, before.running, before.waiting, before.kv_use) == (True, 0, 0, 0.0)
    assert time.monotonic() - before.at_s < 1.0
    busiest = 0
    for number in range(2):  # the second finds the first one's prefix
        rendered = prompt(served, {"price": 45000, "note": "a prompt of its own"})
        tasks = [asyncio.create_task(engine.ask(Ask(f"vitals-{number}-{n}", rendered, "full"))) for n in range(20)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.005)
            now = engine.vitals()
            busiest = max(busiest, now.running)
            assert now.running <= engine.concurrency
        answers = await asyncio.gather(*tasks)
    after = engine.vitals()
    assert before.sums is not None and after.sums is not None
    assert busiest == engine.concurrency
    assert after.steps > before.steps and after.hungry_steps > before.hungry_steps
    prompts = 2 * 20 * answers[0].prompt_tokens
    assert after.sums.prompt_tokens - before.sums.prompt_tokens == prompts
    assert after.sums.prefix_queries - before.sums.prefix_queries == prompts
    assert 0 < after.sums.prefix_hits - before.sums.prefix_hits < prompts
    assert after.sums.generation_tokens - before.sums.generation_tokens == 2 * 20 * answers[0].completion_tokens
    assert (after.running, after.waiting, after.kv_use) == (0, 0, 0.0)


async def test_live_and_replayed_requests_are_answered_side_by_side(engine: Engine, served: Served) -> None:
    rendered = prompt(served)
    asks = [Ask(f"mixed-{number}", rendered, "full", priority=number % 2 * REPLAY) for number in range(64)]
    answers = await asyncio.gather(*map(engine.ask, asks))
    assert {answer.text for answer in answers} == {answers[0].text}


async def test_a_cancelled_request_is_taken_back_and_its_id_is_free_again(engine: Engine, served: Served) -> None:
    ask = Ask("cancelled", prompt(served), "full")
    for _ in range(3):
        task = asyncio.create_task(engine.ask(ask))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await engine.ask(ask)).finished


async def test_a_prompt_that_does_not_fit_fails_alone(engine: Engine, served: Served) -> None:
    too_long = Ask("too-long", Prompt("many words " * 1_000, ""), "full")
    fitting = Ask("fitting", prompt(served), "full")
    failed, answered = await asyncio.gather(engine.ask(too_long), engine.ask(fitting), return_exceptions=True)
    assert isinstance(failed, EngineFailed)
    assert not isinstance(answered, BaseException) and answered.finished


async def test_it_says_what_really_answered(engine: Engine) -> None:
    used = engine.used(as_of_ms=0)
    assert (used.name, used.id, used.cutoff) == ("phi3", "trading-llm/stand-in-phi3", "unknown")
    assert used.engine.startswith("vllm/0.32")


async def test_a_core_that_stands_still_is_hung_and_one_that_moves_is_not(engine: Engine, served: Served) -> None:
    admission = Admission(engine.concurrency, engine.vitals)

    async def ask(number: int) -> None:
        async with admission.slot():
            await engine.ask(Ask(f"still-{number}", prompt(served, {"price": number + 1}), "full"))

    for core in _cores():
        os.kill(core, signal.SIGSTOP)
    asking = [asyncio.create_task(ask(number)) for number in range(4)]
    try:
        with pytest.raises(Fatal, match="phi3: the engine is hung: it has 4 questions and has made no step for"):
            await asyncio.wait_for(tend(engine, admission, 0.5, "phi3"), 10)
    finally:
        for core in _cores():
            os.kill(core, signal.SIGCONT)
    await asyncio.gather(*asking)
    tending = asyncio.create_task(tend(engine, admission, 0.5, "phi3"))
    ends_s = time.monotonic() + 2.0
    while time.monotonic() < ends_s:
        await asyncio.gather(*map(ask, range(4)))
    assert not tending.done()
    tending.cancel()


async def test_a_killed_core_ends_every_request_and_the_engine(engine: Engine, served: Served) -> None:
    waiting = [asyncio.create_task(engine.ask(Ask(f"last-{n}", prompt(served), "full"))) for n in range(40)]
    await asyncio.sleep(0.02)
    for core in _cores():
        os.kill(core, signal.SIGKILL)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert any(isinstance(one, EngineDied) for one in ended)
    with pytest.raises(EngineDied):
        await engine.ask(Ask("after", prompt(served), "full"))
    assert not engine.vitals().alive


def _cores() -> list[int]:
    # By each process' parent: the kernel's own lists of children go by thread, and miss those whose thread has ended.
    return [child.pid for child in psutil.Process().children() if "EngineCor" in child.name()]


def test_an_attention_backend_that_vllm_does_not_have_is_named_with_those_it_has() -> None:
    from workers.engine_vllm import _attention

    assert _attention(None) is None
    with pytest.raises(CatalogueError, match=r"engine\.attention_backend: vLLM has no NOPE; it has .*CPU_MLA"):
        _attention("NOPE")
