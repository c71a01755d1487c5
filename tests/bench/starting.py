"""How long workers with a real engine take to start, where the time goes, and what they hold: one alone, and all four at once."""

from __future__ import annotations

import re
import statistics
import time
from collections import defaultdict
from typing import Any

from tests.bench.ground import Ground, stop_all
from tests.bench.usage import usage_of
from tests.support.kafka import MODELS
from tests.support.processes import Running

READY_S_MAX = 300.0
PHASES = ("imports", "verify", "tokenizer", "load", "warm_up", "join")
STARTING = re.compile(r"^(\d\d):(\d\d):(\d\d\.\d+) .*engine\.starting ", re.MULTILINE)
STARTED = re.compile(r"engine\.started (.*)")
DAY_S = 86_400


def starting(ground: Ground, model: str, rounds: int) -> dict[str, Any]:
    """Rows of medians over the rounds: seconds of each phase of each model, CPU seconds, and megabytes."""
    rows = []
    for way, models in (("alone", (model,)), ("four at once", MODELS)):
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(rounds):
            for name, each in _once(ground, models).items():
                found[name].append(each)
                print(f"  {way:<13} {name:<9} " + "  ".join(f"{what} {value:.1f}" for what, value in each.items()), flush=True)
        rows += [{"way": way, "model": name, **_medians(each)} for name, each in found.items()]
    return {"rounds": rounds, "rows": rows}


def _once(ground: Ground, models: tuple[str, ...]) -> dict[str, dict[str, float]]:
    pipeline = ground.pipeline(models, "vllm")
    began_s = time.time()
    running = {name: pipeline.worker(name) for name in models}
    try:
        ready_s = _until_ready(running)
        return {name: _phases(each.said(), began_s, ready_s[name]) | _weight(each) for name, each in running.items()}
    finally:
        stop_all(list(running.values()))


def _until_ready(running: dict[str, Running]) -> dict[str, float]:
    """When each was ready, seconds of the epoch."""
    ready_s: dict[str, float] = {}
    deadline_s = time.time() + READY_S_MAX
    while len(ready_s) < len(running):
        assert time.time() < deadline_s, f"not ready after {READY_S_MAX:.0f} s: {running.keys() - ready_s.keys()}"
        ready_s |= {name: time.time() for name, each in running.items() if name not in ready_s and each.probe.answers()}
        time.sleep(0.05)
    return ready_s


def _phases(said: str, began_s: float, ready_s: float) -> dict[str, float]:
    """The engine tells its own; what was before is the interpreter and its imports, what came after the joining of Kafka."""
    starting, started = STARTING.search(said), STARTED.search(said)
    assert starting and started, f"it did not say when its engine started:\n{said[-2000:]}"
    began = time.localtime(began_s)  # its log has the time of day
    imports_s = _of_day_s(*map(float, starting.groups())) - _of_day_s(began.tm_hour, began.tm_min, began.tm_sec + began_s % 1)
    imports_s %= DAY_S
    told = {name.removesuffix("_s"): float(value) for name, _, value in (each.partition("=") for each in started[1].split()[1:])}
    whole_s = ready_s - began_s
    return {"ready": whole_s, "imports": imports_s, **told, "join": whole_s - imports_s - sum(told.values())}


def _of_day_s(hour: float, minute: float, second: float) -> float:
    return hour * 3600 + minute * 60 + second


def _weight(worker: Running) -> dict[str, float]:
    usage = usage_of(worker.pid)
    return {"cpu_s": usage.cpu_s, "rss_mb": usage.rss_mb, "pss_mb": usage.pss_mb}


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in found), 2) for name in found[0]}
