"""`python -m tests.gpu.offline FOLDER MODEL SIZE LENGTHS BOTS`: offline `LLM.generate` on each wave, all handed over at once.

The most that this engine does here: the engine's arguments, the sampling and the rendered prompts are the worker's own.
Writes `generate.json` to the folder. Kafka is not asked.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from backbone.settings import Settings
from deciders.prompt import Prompt
from schemas.policy import Policy
from tests.gpu.dummy import with_made_up_weights
from tests.gpu.found import Found, write
from tests.gpu.waves import Extent, Wave, plan, prompts
from workers.catalogue import Served, load_catalogue, serve
from workers.engine import prepare_environment


class Offline:
    """One `LLM` with the worker's own arguments, warmed up by one prompt in each mode."""

    def __init__(self, served: Served) -> None:
        from transformers import AutoTokenizer
        from vllm import LLM
        from vllm.engine.arg_utils import EngineArgs

        from workers import engine_vllm as ours

        # Those of `AsyncLLM`, but for its own.
        arguments = vars(ours._arguments(served)).items()
        self._llm = LLM(**{name: value for name, value in arguments if name in EngineArgs.__dataclass_fields__})
        self._engine = ours.VllmEngine(served)
        self._engine._tokenizer = tokenizer = AutoTokenizer.from_pretrained(served.directory, trust_remote_code=False)
        self._words = ours._words(served.entry.name, tokenizer)
        self._sampling = {mode: ours._sampling(served, self._words, mode) for mode in ("full", "label")}
        self._lora = ours._lora(served)
        for mode in self._sampling:
            self._generate([self.ids(Prompt(served.serving.template.system, "warm-up"))], mode)

    def ids(self, prompt: Prompt) -> list[int]:
        """The tokens that the engine is given."""
        return [*self._engine._prompt_ids(prompt), *self._words.head]

    def measure(self, wave: Wave, asked: list[Prompt]) -> Found:
        """From the rendered prompts to the last answer."""
        began_s = time.perf_counter()
        results = self._generate([self.ids(each) for each in asked], wave.mode)
        seconds = time.perf_counter() - began_s
        sizes = [(len(each.prompt_token_ids), each.num_cached_tokens or 0, len(each.outputs[0].token_ids)) for each in results]
        return Found("generate", wave.name, len(results), seconds, *map(sum, zip(*sizes, strict=True)))

    def _generate(self, asked: list[list[int]], mode: str) -> list[Any]:
        from vllm.inputs import tokens_input

        given = [tokens_input(ids) for ids in asked]
        return list(self._llm.generate(given, self._sampling[mode], use_tqdm=False, lora_request=self._lora))


def main(folder: Path, model: str, extent: Extent) -> None:
    """Measure every wave, and write the figures down."""
    settings = Settings()
    served = serve(load_catalogue(settings.catalogue)[model], settings.catalogue, settings.weights)
    policy = Policy.from_toml(settings.policy.read_text(encoding="utf-8"))
    prepare_environment("vllm", served)
    with_made_up_weights()
    offline = Offline(served)
    waves = plan(served, policy, lambda prompt: len(offline.ids(prompt)), extent)
    found = []
    for wave in waves:
        found.append(offline.measure(wave, prompts(served, policy, wave)))
        print(found[-1], flush=True)
    write(folder / "generate.json", found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Extent.from_words(*sys.argv[3:]))
