"""An engine that needs no model: the same answer for the same prompt, at once, and faults where a script asks for them.

The script is JSON: `{"delay_ms": 20, "faults": {"hang": "BTC", "nan": "ETH"}}`. A fault strikes every prompt that holds
its text; the empty text strikes every prompt. `"spread_ms": 200`: each answer takes up to so much longer, by its prompt alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deciders.answer import ANSWER_HEAD, LABELS, RawAnswer
from deciders.identity import Identity
from schemas.canonical import digest
from schemas.decision import GenerationParts, ModelUsed
from schemas.size import GENERATION_BYTES_MAX
from workers.catalogue import CatalogueError, Served
from workers.engine import Ask, EngineDied, EngineFailed
from workers.vitals import Vitals

Fault = Literal["hang", "die", "raise", "cut", "nan", "wrong_symbol", "big", "garbage"]
ENGINE = "scripted/1"
NO_FILE = digest(b"")
# Of sixteen answers three stay below a threshold of 0.7.
CONFIDENCES = (0.55, 0.62, 0.68, 0.72, 0.75, 0.78, 0.81, 0.84, 0.86, 0.88, 0.9, 0.92, 0.93, 0.94, 0.95, 0.96)
ACTIONS = ("BUY", "BUY", "BUY", "HOLD", "HOLD", "SELL", "SELL", "CLOSE")  # by their share


class Script(BaseModel):
    """What the engine is to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay_ms: float = Field(default=0.0, ge=0, le=600_000)
    spread_ms: float = Field(default=0.0, ge=0, le=600_000)
    faults: Mapping[Fault, str] = {}

    def takes_ms(self, text: str) -> float:
        """How long the answer to this prompt takes."""
        return self.delay_ms + self.spread_ms * blake2b(text.encode(), digest_size=1).digest()[0] / 255


PLAIN = Script()


class ScriptedEngine:
    """Answers at once. It has the catalogue entry's name and concurrency, and says that it is scripted."""

    def __init__(self, served: Served, script: str = "{}") -> None:
        self._served, self._identity = served, scripted(served.identity)
        self._script = _read(script)
        self._slots = asyncio.Semaphore(served.entry.concurrency)
        self._died = False
        self._asked = self._steps = self._hungry_steps = 0

    @property
    def concurrency(self) -> int:
        return self._served.entry.concurrency

    def used(self, as_of_ms: int) -> ModelUsed:
        return ModelUsed(name=self._served.entry.name, id="trading-llm/scripted", revision="1", engine=ENGINE)

    def parts(self, ask: Ask) -> GenerationParts:
        return self._identity.parts(ask.prompt, ask.mode)

    async def start(self) -> None:
        """There is nothing to load."""

    async def ask(self, ask: Ask) -> RawAnswer:
        if self._died:
            raise EngineDied(f"{self._served.entry.name}: the engine died by its script")
        self._asked += 1
        try:
            if self._script == PLAIN:
                return self._stepped(ask)
            async with self._slots:  # a delay without it would be an engine that computes everything at once
                await asyncio.sleep(self._script.takes_ms(ask.prompt.text) / 1_000)
                return await self._perhaps_at_fault(ask)
        finally:
            self._asked -= 1

    async def stop(self) -> None:
        """There is nothing to end."""

    def vitals(self) -> Vitals:
        """It knows at any time what it does, and has no cache that could be in use."""
        running = min(self._asked, self.concurrency)
        return Vitals(
            at_s=time.monotonic(),
            alive=not self._died,
            running=running,
            waiting=self._asked - running,
            kv_use=0.0,
            steps=self._steps,
            hungry_steps=self._hungry_steps,
        )

    def _stepped(self, ask: Ask) -> RawAnswer:
        self._steps += 1
        self._hungry_steps += self._asked - 1 < self.concurrency
        return answer_of(ask)

    async def _perhaps_at_fault(self, ask: Ask) -> RawAnswer:
        text = ask.prompt.text
        fault = next((name for name, sign in self._script.faults.items() if sign in text), None)
        if fault == "hang":
            await asyncio.Event().wait()
        answer = self._stepped(ask)
        if fault == "die":
            self._died = True
            raise EngineDied(f"{self._served.entry.name}: the engine died by its script")
        if fault == "raise":
            raise EngineFailed(f"{self._served.entry.name}: the engine failed by its script")
        return answer if fault is None else _spoiled(answer, fault)


def scripted(identity: Identity) -> Identity:
    """What this engine's generations are known by: as a real one's, but that no file has a part in them."""
    return replace(identity, tokenizer=NO_FILE, weights=digest(ENGINE.encode()), adapter=None, knowledge_cutoff=None)


def answer_of(ask: Ask) -> RawAnswer:
    """The answer to this prompt: a function of its text alone."""
    drawn = blake2b(ask.prompt.text.encode(), digest_size=4).digest()
    action = ACTIONS[drawn[0] % len(ACTIONS)]
    tokens = len(ask.prompt.text) // 4
    return RawAnswer(
        text=action if ask.mode == "label" else _full(action, drawn),
        label_logprobs=_logprobs(action, CONFIDENCES[drawn[1] % len(CONFIDENCES)]),
        prompt_tokens=tokens,
        completion_tokens=1 if ask.mode == "label" else 20,
    )


def _full(action: str, drawn: bytes) -> str:
    acts = action in ("BUY", "SELL")
    size, stop, target = (drawn[2] % 2 + 1, drawn[3] % 3 + 1, drawn[3] % 3 + 1) if acts else (0, 0, 0)
    return (
        f'{ANSWER_HEAD}{action}","size_percent":{size},"stop_percent":{stop},"target_percent":{target},'
        f'"rationale":"the script says {action.lower()}"}}'
    )


def _logprobs(action: str, confidence: float) -> dict[str, float]:
    other = math.log((1 - confidence) / (len(LABELS) - 1))
    return {label: math.log(confidence) if label == action else other for label in LABELS}


def _spoiled(answer: RawAnswer, fault: Fault) -> RawAnswer:
    if fault == "cut":
        return replace(answer, text=answer.text[: len(answer.text) // 2], finished=False)
    if fault == "nan":
        return replace(answer, label_logprobs=dict.fromkeys(LABELS, math.nan))
    if fault == "wrong_symbol":
        return replace(answer, text=answer.text.removesuffix("}") + ',"symbol":"NOT/THIS"}')
    return replace(answer, text="x" * (GENERATION_BYTES_MAX + 1) if fault == "big" else "I would rather not say.")


def _read(script: str) -> Script:
    try:
        return Script.model_validate(json.loads(script))
    except (ValueError, ValidationError) as error:
        raise CatalogueError(f"TRADING_LLM_SCRIPT: {error}; faults are {', '.join(get_args(Fault))}") from None
