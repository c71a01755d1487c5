"""Offline `LLM.generate` on the prompts that a worker would be given: the most that this engine does here.

`python -m tests.bench.peer_generate BOOTSTRAP MODEL FIRST COUNT FILE`: decisions a second go to the file, and the tokens of all
prompts and all answers, as JSON. Kafka is not asked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backbone.settings import Settings
from deciders.features import compute_features
from deciders.prompt import Prompt, render
from schemas.context import read_event
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS
from tests.bench.contexts import messages
from workers.catalogue import Served, load_catalogue, serve
from workers.engine import prepare_environment


def prompts(served: Served, first: int, count: int) -> list[Prompt]:
    """What the worker renders of these contexts."""
    settings = Settings()
    policy = Policy.from_toml(settings.policy.read_text(encoding="utf-8"))
    now_ms = int(time.time() * 1000)
    out = []
    for each in messages(first, count):
        record = Record(Source(CONTEXTS, 0, each.number), each.key, each.value, (), now_ms)
        question = resolve(read_event(each.value, now_ms), record, policy)
        features = compute_features(question.event.context, policy.features)
        out.append(render(served.serving.template, question, features))
    return out


def measure(served: Served, asked: Sequence[Prompt]) -> tuple[float, int, int]:
    """Prompts a second, all given at once, after two to warm up, and tokens; engine and sampling are the worker's own."""
    from transformers import AutoTokenizer
    from vllm import LLM
    from vllm.engine.arg_utils import EngineArgs
    from vllm.inputs import tokens_input

    from workers import engine_vllm as ours

    # Those of `AsyncLLM`, but for its own.
    llm = LLM(**{name: value for name, value in vars(ours._arguments(served)).items() if name in EngineArgs.__dataclass_fields__})
    tokenizer: Any = AutoTokenizer.from_pretrained(served.directory, trust_remote_code=False)
    words = ours._words(served.entry.name, tokenizer)
    sampling, lora = ours._verified(ours._sampling(served, words, "full"), llm.llm_engine), ours._lora(served)
    engine = ours.VllmEngine(served)
    engine._tokenizer = tokenizer
    warm = tokens_input([*engine._prompt_ids(Prompt(served.serving.template.system, "warm-up")), *words.head])
    llm.generate([warm, warm], sampling, use_tqdm=False, lora_request=lora)
    began_s = time.perf_counter()
    given = [tokens_input([*engine._prompt_ids(each), *words.head]) for each in asked]
    results = llm.generate(given, sampling, use_tqdm=False, lora_request=lora)
    per_s = len(results) / (time.perf_counter() - began_s)
    prompt_tokens = sum(len(each.prompt_token_ids or ()) for each in results)
    return per_s, prompt_tokens, sum(len(each.outputs[0].token_ids) for each in results)


def main(model: str, first: int, count: int, file: Path) -> None:
    """Measure, and write the figures down."""
    settings = Settings()
    served = serve(load_catalogue(settings.catalogue)[model], settings.catalogue, None)
    prepare_environment("vllm", served)
    file.write_text(json.dumps(measure(served, prompts(served, first, count))))


if __name__ == "__main__":
    main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
