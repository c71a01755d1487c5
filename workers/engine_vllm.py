"""vLLM behind the engine's port: in this process, on a thread and an event loop of its own.

Detokenising and scheduling never delay the process's own loop. Real weights and stand-ins take the same path: what
differs stands in the catalogue. Start it before the process opens sockets: a tiny model's engine core is forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop
import vllm
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.attention.backends.registry import AttentionBackendEnum
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.metrics.loggers import PrometheusStatLogger

from backbone import telemetry
from deciders.answer import ANSWER_HEAD, ANSWER_TAIL, LABELS, AnswerMode, RawAnswer
from deciders.identity import SAMPLING
from deciders.prompt import Prompt
from schemas.decision import GenerationParts, ModelUsed
from workers.catalogue import CatalogueError, Served
from workers.engine import Ask, EngineDied, EngineFailed
from workers.engine_fork import cut_off_forks
from workers.phases import Phases
from workers.vitals import Pulse, Step, Sums, Vitals

START_S_MAX = 1_800.0  # real weights are read from slow disks; a stand-in takes seconds
STOP_S_MAX = 20.0
WARM_UP_ASKS = 2  # the second finds the grammar compiled and the prefix cached
QUANTIZATION = {"fp8": "fp8_per_tensor"}  # what vLLM makes while it loads; what files hold already, it sees by itself

MODES: tuple[AnswerMode, ...] = ("full", "label")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Words:
    """The vocabulary's part in an answer: the head's ids, each label's first token, and back."""

    head: tuple[int, ...]
    first: Mapping[str, int]
    read: Callable[[Sequence[int]], str]  # ids to text

    def label(self, token: int) -> str:
        return next((label for label, first in self.first.items() if first == token), "")

    def answer(self, generated: Sequence[int]) -> str:
        """The whole answer. The head is read with it: some vocabularies read the first token of a text otherwise."""
        return ANSWER_HEAD + self.read([*self.head, *generated])[len(self.read(self.head)) :]


class _Verified(SamplingParams):
    """Parameters that were verified at start: vLLM compiles the grammar again at each request only to see whether it can."""

    def verify(self, *_: Any, **__: Any) -> None:
        """They are the same for every request."""


class VllmEngine:
    """One model on vLLM. Not started when made."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._llm: AsyncLLM | None = None
        self._died = False
        self._asked = 0  # questions that have no answer yet
        self._pulse = Pulse(served.entry.concurrency, time.monotonic)

    @property
    def concurrency(self) -> int:
        return self._served.entry.concurrency

    def used(self, as_of_ms: int) -> ModelUsed:
        return self._served.used(f"vllm/{vllm.__version__}", as_of_ms)

    def parts(self, ask: Ask) -> GenerationParts:
        return self._served.parts(ask.prompt, ask.mode)

    async def start(self) -> None:
        """Verifies the files, loads them, and asks twice in each mode before it returns. Its phases are an event, in seconds."""
        name, phases = self._served.entry.name, Phases()
        telemetry.event("engine.starting", model=name)
        self._served.verify()
        phases.end("verify")
        self._tokenizer = AutoTokenizer.from_pretrained(self._served.directory, trust_remote_code=False)
        phases.end("tokenizer")
        self._words = _words(name, self._tokenizer)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()
        async with asyncio.timeout(START_S_MAX):
            self._llm = await self._on_its_loop(self._load())
            self._sampling = {mode: _verified(_sampling(self._served, self._words, mode), self._llm) for mode in MODES}
            phases.end("load")
            await self._warm_up()
        phases.end("warm_up")
        telemetry.event("engine.started", model=name, **phases.seconds)

    async def ask(self, ask: Ask) -> RawAnswer:
        """The raw answer; its confidence comes from the label probabilities at the action's place."""
        if self._llm is None or self._died:
            raise EngineDied(f"{self._served.entry.name}: the engine is not running; start the process again")
        self._asked += 1
        try:
            return await self._on_its_loop(self._generate(self._llm, ask))
        except EngineDeadError:
            self._died = True
            raise EngineDied(f"{self._served.entry.name}: the engine died; the process must be started again") from None
        except (VLLMClientError, EngineGenerateError, ValueError) as error:
            raise EngineFailed(f"{self._served.entry.name}: {type(error).__name__}: {error}") from None
        finally:
            self._asked -= 1

    def vitals(self) -> Vitals:
        """As of its last step; vLLM itself watches whether its core lives, also while nothing is asked."""
        alive = self._llm is not None and not self._died and not self._llm.errored
        return self._pulse.vitals(self._asked, alive=alive)

    async def stop(self) -> None:
        """Shuts vLLM down on its own loop, then ends the loop and its thread."""
        llm, loop, thread = self._llm, self._loop, self._thread
        self._llm = self._loop = self._thread = None
        if loop is None or thread is None:
            return
        if llm is not None:
            with contextlib.suppress(TimeoutError, EngineDeadError):
                async with asyncio.timeout(STOP_S_MAX):
                    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_shut_down(llm), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, STOP_S_MAX)
        if not thread.is_alive():
            loop.close()

    async def _on_its_loop(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _load(self) -> AsyncLLM:
        config = _arguments(self._served).create_engine_config()
        if self._served.serving.engine.forked:
            # After the config, which sets it to spawn: a forked core imports nothing again, 9 CPU-seconds saved.
            os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"
        with cut_off_forks():
            # A logger turns vLLM's statistics on by itself; what `disable_log_stats` still does is to keep its own lines away.
            return AsyncLLM.from_vllm_config(config, stat_loggers=[_told_to(self._pulse)], disable_log_stats=True)

    async def _warm_up(self) -> None:
        prompt = Prompt(self._served.serving.template.system, "warm-up")
        for number in range(WARM_UP_ASKS):
            await self.ask(Ask(f"warm-up-full-{number}", prompt, "full"))
            await self.ask(Ask(f"warm-up-label-{number}", prompt, "label"))

    async def _generate(self, llm: AsyncLLM, ask: Ask) -> RawAnswer:
        ids = [*self._prompt_ids(ask.prompt), *self._words.head]
        results = llm.generate(
            tokens_input(ids),
            self._sampling[ask.mode],
            ask.request_id,
            lora_request=_lora(self._served),
            priority=ask.priority,
        )
        async with contextlib.aclosing(results):
            async for result in results:
                if result.finished:
                    return _raw(result, self._words, ask.mode)
        raise EngineFailed(f"{self._served.entry.name}: the request ended without an answer")

    def _prompt_ids(self, prompt: Prompt) -> list[int]:
        if self._served.serving.template.format == "plain":
            return list(self._tokenizer.encode(prompt.text))
        messages = _messages(prompt)
        ids = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
        return list(ids)


def _told_to(pulse: Pulse) -> type[Any]:
    """A logger of vLLM's that adds each step up in this pulse.

    It passes for vLLM's own Prometheus logger, and does nothing of what that does: else vLLM makes its own one beside it, whose
    fifty metrics, a dozen observations a token, nobody reads here.
    """

    class Logger(PrometheusStatLogger):
        def __init__(self, vllm_config: Any, engine_indexes: Any = None) -> None:
            """It has no metrics of its own."""

        def record(self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0) -> None:
            """After each step of the core, on the engine's thread."""
            if scheduler_stats is not None:
                pulse.step(_step(scheduler_stats, iteration_stats))

        def log_engine_initialized(self) -> None:
            """Nobody is told."""

        def record_sleep_state(self, sleep: int = 0, level: int = 0) -> None:
            """It never sleeps."""

    return Logger


def _step(core: Any, outputs: Any) -> Step:
    """A step in vLLM's own numbers; `outputs` is None where it gave no token to anybody."""
    added = Sums(
        prefix_queries=core.prefix_cache_stats.queries,
        prefix_hits=core.prefix_cache_stats.hits,
        preemptions=outputs.num_preempted_reqs if outputs else 0,
        prompt_tokens=outputs.num_prompt_tokens if outputs else 0,
        generation_tokens=outputs.num_generation_tokens if outputs else 0,
    )
    waiting = core.num_waiting_reqs + core.num_skipped_waiting_reqs
    return Step(core.num_running_reqs, waiting, core.kv_cache_usage, added)


async def _shut_down(llm: AsyncLLM) -> None:
    llm.shutdown()


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]


def _words(name: str, tokenizer: Any) -> _Words:
    head = tuple(tokenizer.encode(ANSWER_HEAD, add_special_tokens=False))
    first = {label: _first_after(tokenizer, label) for label in LABELS}
    if len(set(first.values())) != len(LABELS):
        raise CatalogueError(f"{name}: two labels begin with the same token here: their probabilities cannot be told apart")
    return _Words(head, first, lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)))


def _first_after(tokenizer: Any, label: str) -> int:
    """The first token of a label that stands behind the head, where no space precedes it."""
    head = tokenizer.encode(ANSWER_HEAD, add_special_tokens=False)
    both = tokenizer.encode(ANSWER_HEAD + label, add_special_tokens=False)
    if both[: len(head)] == head and len(both) > len(head):
        return int(both[len(head)])
    return int(tokenizer.encode(label, add_special_tokens=False)[0])


def _sampling(served: Served, words: _Words, mode: AnswerMode) -> SamplingParams:
    labels = sorted(words.first.values())
    shared: dict[str, Any] = {
        **SAMPLING,
        "output_kind": RequestOutputKind.FINAL_ONLY,
        "detokenize": False,  # token by token, with every label's name at each; the answer is read once, at its end
        "logprob_token_ids": labels,
    }
    if mode == "label":
        return SamplingParams(**shared, max_tokens=1, allowed_token_ids=labels)
    grammar = StructuredOutputsParams(regex=ANSWER_TAIL)
    return SamplingParams(**shared, max_tokens=served.serving.engine.answer_tokens_max, structured_outputs=grammar)


def _verified(sampling: SamplingParams, llm: AsyncLLM) -> SamplingParams:
    """The same, never to be verified again. Raises ValueError where this engine cannot do as they say."""
    of = llm.vllm_config
    sampling.verify(of.model_config, of.speculative_config, of.structured_outputs_config, llm.tokenizer)
    sampling.skip_clone = True  # nobody changes them; a deep copy each time costs a tenth of what asking does
    return _Verified(**{name: getattr(sampling, name) for name in sampling.__struct_fields__})


def _arguments(served: Served) -> AsyncEngineArgs:
    engine, adapter = served.serving.engine, served.serving.adapter
    optional = {
        "block_size": engine.block_size,
        "attention_backend": _attention(engine.attention_backend),
        "kv_cache_memory_bytes": engine.kv_cache_bytes,
        "gpu_memory_utilization": engine.gpu_memory_utilization,
        "quantization": QUANTIZATION.get(engine.quantization or ""),
        "kv_cache_dtype": engine.kv_cache_dtype,
        "tensor_parallel_size": engine.tensor_parallel_size,
        "max_lora_rank": None if adapter is None else adapter.rank,
    }
    return AsyncEngineArgs(
        model=str(served.directory),
        served_model_name=served.entry.name,
        dtype=engine.dtype,
        max_model_len=engine.context_tokens,
        max_num_seqs=served.entry.concurrency,
        max_logprobs=len(LABELS),
        enforce_eager=engine.enforce_eager,
        enable_lora=adapter is not None,
        enable_prefix_caching=True,
        scheduling_policy="priority",
        structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
        generation_config="vllm",  # the folder's own sampling defaults are not ours
        trust_remote_code=False,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        seed=0,
        **{name: value for name, value in optional.items() if value is not None},
    )


def _attention(name: str | None) -> AttentionBackendEnum | None:
    """Raises CatalogueError where vLLM has none of this name."""
    try:
        return None if name is None else AttentionBackendEnum[name]
    except (KeyError, ValueError):  # vLLM's own look-up by name raises the second
        known = ", ".join(AttentionBackendEnum.__members__)
        raise CatalogueError(f"engine.attention_backend: vLLM has no {name}; it has {known}") from None


def _lora(served: Served) -> LoRARequest | None:
    adapter = served.serving.adapter
    return None if adapter is None else LoRARequest(adapter.id, 1, str(served.adapter_directory))


def _raw(result: Any, words: _Words, mode: AnswerMode) -> RawAnswer:
    output = result.outputs[0]
    return RawAnswer(
        text=_text(output, words, mode),
        label_logprobs=_label_logprobs(output, words),
        prompt_tokens=len(result.prompt_token_ids),
        cached_tokens=result.num_cached_tokens or 0,
        completion_tokens=len(output.token_ids),
        finished=mode == "label" or output.finish_reason == "stop",
    )


def _text(output: Any, words: _Words, mode: AnswerMode) -> str:
    if mode == "label":
        return words.label(output.token_ids[0]) if output.token_ids else ""
    ended = output.finish_reason == "stop"  # by a token that is no part of the text
    return words.answer(output.token_ids[:-1] if ended else output.token_ids)


def _label_logprobs(output: Any, words: _Words) -> Mapping[str, float] | None:
    """The labels' log-probabilities at the first generated token; None where the engine did not give them all."""
    if not output.logprobs:
        return None
    first = output.logprobs[0]
    found = {label: float(first[token].logprob) for label, token in words.first.items() if token in first}
    return found if len(found) == len(LABELS) and not any(math.isnan(value) for value in found.values()) else None
