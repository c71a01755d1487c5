"""The product on the same waves: a broker, a router and one worker, fed from `contexts`."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from backbone import clients
from backbone.settings import Settings
from deciders.prompt import Prompt
from schemas.policy import Policy
from schemas.topic import CONTEXTS, DECISIONS, model_topic
from tests.bench.contexts import number_in
from tests.bench.ground import Ground, stop_all
from tests.bench.log import Ends, Log, fill
from tests.gpu.found import Found
from tests.gpu.shapes import Shape
from tests.gpu.waves import Extent, Wave, plan
from tests.support.stack import Pipeline

READY_S_MAX = 300.0
WAVE_S_MAX = 300.0
QUIET_S = 2.0


class Online:
    """One worker behind one router; `mode` is switched by another policy, as an operator would."""

    def __init__(self, ground: Ground, shape: Shape, folder: Path, environment: dict[str, str]) -> None:
        self._ground, self._shape, self._folder = ground, shape, folder
        self._environment = environment | shape.environment
        self.ready_s = 0.0

    async def run(self, extent: Extent) -> list[Found]:
        """Every wave, one after the other, through the same processes."""
        policy = Policy.from_toml(Settings().policy.read_text(encoding="utf-8"))
        tokenizer: Any = AutoTokenizer.from_pretrained(self._shape.served.directory, trust_remote_code=False)
        waves = plan(self._shape.served, policy, lambda prompt: _tokens(tokenizer, prompt), extent)
        pipeline = self._ground.pipeline((self._shape.model,), "vllm")
        pipeline.environment |= self._environment
        began_s = time.monotonic()
        router = pipeline.router()
        pipeline.runner = ("tests.gpu.dummy",)
        running = [worker := pipeline.worker(self._shape.model), router]
        try:
            for each in running:
                each.wait_ready(READY_S_MAX)
            self.ready_s = time.monotonic() - began_s
            return [await self._measure(pipeline, wave) for wave in waves]
        finally:
            (self._folder / "worker.log").write_text(worker.said(), encoding="utf-8")
            stop_all(running)

    async def _measure(self, pipeline: Pipeline, wave: Wave) -> Found:
        self._answer_in(pipeline, wave.mode)
        hop, decisions = Log(self._ground.settings, [model_topic(wave.model)]), Log(self._ground.settings, [DECISIONS])
        before, answered = await hop.ends(), await decisions.ends()
        await fill(self._ground.settings, CONTEXTS, list(wave.messages()))
        await _all_decided(decisions, answered, wave.size)
        came, went = await hop.written(before), await decisions.written(answered)
        assert went.count == wave.size, f"{wave.name}: {went.count} of {wave.size} were decided"
        print(f"{wave.name}: {came.count} came, {went.count} were decided", flush=True)
        found = await self._found(wave, (went.last_ms - came.first_ms) / 1000)
        print(found, flush=True)
        return found

    def _answer_in(self, pipeline: Pipeline, mode: str) -> None:
        text = Settings().policy.read_text(encoding="utf-8").replace('mode = "full"', f'mode = "{mode}"')
        file = self._folder / f"policy-{mode}.toml"
        file.write_text(text.replace("version = 1", "version = 2") if mode != "full" else text, encoding="utf-8")
        applied = pipeline.command("policy", "apply", file)
        assert applied.returncode == 0, applied.stderr
        time.sleep(QUIET_S)  # routers and workers read it within a tenth of that

    async def _found(self, wave: Wave, seconds: float) -> Found:
        """The tokens of its decisions, each in the mode that was asked for."""
        decided = [each for each in await _decisions(self._ground.settings) if wave.first <= each[0] < wave.first + wave.size]
        print(wave.name, dict(Counter(body["status"] for _, body in decided)), flush=True)
        asked = [body["tokens"] for _, body in decided if body["tokens"] is not None]
        assert len(asked) == wave.size, f"{wave.name}: {wave.size - len(asked)} were not asked"
        sums = (sum(each[name] for each in asked) for name in ("prompt", "cached", "completion"))
        return Found("worker", wave.name, wave.size, seconds, *sums)


async def _all_decided(decisions: Log, since: Ends, size: int) -> None:
    """Wait until so many are there; AssertionError where that takes longer than a wave may."""
    await decisions.still(since, WAVE_S_MAX)
    deadline = time.monotonic() + WAVE_S_MAX
    while (await decisions.written(since)).count < size:
        assert time.monotonic() < deadline, f"not {size} decisions within {WAVE_S_MAX:.0f} s"
        await asyncio.sleep(1)


def _tokens(tokenizer: Any, prompt: Prompt) -> int:
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    return len(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False))


async def _decisions(settings: Settings) -> list[tuple[int, dict[str, Any]]]:
    """Every decision there is, by its context's number."""
    consumer = clients.reader(settings, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([clients.TopicPartition(DECISIONS, each) for each in range(8)])
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[tuple[int, dict[str, Any]]] = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for records in (await asyncio.wait_for(consumer.getmany(timeout_ms=500), WAVE_S_MAX)).values():
                found.extend((number_in(each.value) or 0, json.loads(each.value)) for each in records)
        return found
    finally:
        await clients.stop(consumer)
