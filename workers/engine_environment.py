"""What vLLM and its libraries read from the environment when they are imported. Imports none of them."""

from __future__ import annotations

import os

from schemas.catalogue import EngineArguments

# No model, tokenizer or report leaves or enters over the network; normal work is silent.
ALWAYS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_DISABLE_LOG_LOGO": "1",
}


def prepare(arguments: EngineArguments) -> None:
    """Sets this process's environment for an engine with these arguments; what is set already stays, but for offline."""
    for name, value in ALWAYS.items():
        os.environ.setdefault(name, value)
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    if arguments.enforce_eager:
        # vLLM's sampler is compiled even for an eager engine, and that takes a C++ compiler, which the machine may not have.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    if arguments.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    if arguments.forked:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
