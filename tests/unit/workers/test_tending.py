"""A worker whose engine is dead or hung ends with one line; one whose engine is slow or idle goes on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from backbone.errors import Fatal
from deciders.prompt import Prompt
from tests.unit.workers.test_ask import SERVED
from workers import tending
from workers.admission import Admission
from workers.engine import Ask, EngineDied
from workers.engine_scripted import ScriptedEngine
from workers.tending import tend

pytestmark = pytest.mark.unit

HUNG_S = 0.1


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tending, "EVERY_S", 0.01)


async def ask(engine: ScriptedEngine, admission: Admission, text: str) -> None:
    async with admission.slot():
        with suppress(EngineDied):
            await engine.ask(Ask(text, Prompt("", text), "full"))


async def tended(script: str, *texts: str, questions: int = 1, for_s: float = 1.0) -> str | None:
    """What ends the process within that time while it is asked this, again and again; None: nothing."""
    engine = ScriptedEngine(SERVED, script)
    admission = Admission(engine.concurrency, engine.vitals)

    async def again(text: str) -> None:
        for _ in range(questions):
            await ask(engine, admission, text)

    asking = [asyncio.create_task(again(text)) for text in texts]
    try:
        await asyncio.wait_for(tend(engine, admission, HUNG_S, "phi3"), for_s)
    except Fatal as fatal:
        return str(fatal)
    except TimeoutError:
        return None
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return None


async def test_an_engine_on_which_every_question_hangs_ends_its_process() -> None:
    why = await tended('{"faults": {"hang": ""}}', "a", "b", for_s=5.0)
    assert why is not None and why.startswith("model phi3: the engine is hung: it has 2 questions and has made no step for ")


async def test_one_question_that_hangs_while_others_are_answered_ends_nothing() -> None:
    assert await tended('{"delay_ms": 20, "faults": {"hang": "BAD"}}', "BAD", "good", questions=1_000) is None


async def test_a_slow_engine_and_an_idle_one_end_nothing() -> None:
    assert await tended('{"delay_ms": 120}', "a", "b", questions=1_000) is None
    assert await tended('{"delay_ms": 1}', "a") is None


async def test_an_engine_that_died_ends_its_process_also_while_nothing_is_asked() -> None:
    assert await tended('{"faults": {"die": ""}}', "a", for_s=5.0) == (
        "model phi3: the engine died; the process must be started again"
    )
