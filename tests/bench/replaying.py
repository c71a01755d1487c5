"""How fast history is decided again, beside only reading and parsing it; and what a long replay has resident meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from deploy.local.kafka_node import REPOSITORY
from replay import index, shelf
from replay.index import Index
from replay.run import run
from replay.shelf import Book
from schemas.topic import CONTEXTS
from tests.bench.history import lay, lived
from tests.bench.usage import usage_of
from tests.faults.memory import EVERY_S, Memory, write
from tests.unit.replay.recording import means, plan

PROCESSES = 2
WARM_S = 10.0  # until every process has read its policies and its first file
DOCS = REPOSITORY / "docs"


async def replaying(contexts: int, rounds: int, long: int) -> dict[str, Any]:
    """Contexts a second and CPU of both ways, the medians of the rounds; of `long` contexts, unless that is 0, the memory."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, live = Path(name), await lived()
        source = lay(live, folder / "ledger", contexts)
        index.build(source, lambda done, total: None)
        found = _rates(source, folder, contexts, rounds)
        if long:
            found["memory"] = remembering(lay(live, folder / "long", long), folder / "run-long", long)
        return found


def _rates(source: Path, folder: Path, contexts: int, rounds: int) -> dict[str, Any]:
    per_s: dict[str, list[float]] = {"ours": [], "floor": []}
    cpu_us: dict[str, list[float]] = {"ours": [], "floor": []}
    digests: set[str] = set()
    for turn in range(rounds):
        ways: dict[str, Callable[[], None]] = {
            "ours": partial(_replayed, source, folder / f"run-{turn}", contexts, digests),
            "floor": partial(_parsed, source, contexts),
        }
        for way in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            took_s, took_cpu_s = _timed(ways[way])
            per_s[way].append(contexts / took_s)
            cpu_us[way].append(took_cpu_s / contexts * 1e6)
            print(f"  {way:<6} {per_s[way][-1]:8.0f} contexts/s, {cpu_us[way][-1]:6.1f} µs of CPU each", flush=True)
    assert len(digests) == 1, f"one history came to {digests}"
    medians = {way: round(statistics.median(each), 1) for way, each in per_s.items()}
    cpu = {way: round(statistics.median(each), 1) for way, each in cpu_us.items()}
    of_floor = round(medians["ours"] / medians["floor"], 3)
    told = {"contexts": contexts, "rounds": rounds, "processes": PROCESSES}
    return told | {"per_s": medians, "by_round": per_s, "cpu_us": cpu, "of_floor": of_floor}


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process and of those that it began and that have ended."""
    began_s, before_s = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - began_s, _cpu_s() - before_s


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _replayed(source: Path, folder: Path, contexts: int, digests: set[str]) -> None:
    made = run(plan(source), means(), folder, PROCESSES, lambda step, done, total: None)
    assert (made["counts"]["contexts"], made["counts"]["misses"], made["counts"]["open"]) == (contexts, 0, 0), made["counts"]
    digests.add(made["root_digest"])


def _parsed(source: Path, contexts: int) -> None:
    """The floor: the same files and the same index, on as many processes, and every value parsed as JSON."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        read = sum(pool.map(partial(_read, source), shelf.books(source, CONTEXTS)))
    assert read == contexts, f"{read} of {contexts} were read"


def _read(source: Path, book: Book) -> int:
    count = 0
    with closing(Index(source)) as found:
        outcomes = found.outcomes(book.partition, book.first, shelf.end_of(source, book) - 1)
        for record, outcome in zip(shelf.read(source, book), outcomes, strict=True):
            count += 1
            if outcome.reason is None:
                from_json(record.value)
                from_json(outcome.value)
    return count


def remembering(source: Path, folder: Path, contexts: int) -> dict[str, Any]:
    """What a replay of so many contexts has resident, all of its processes together, drawn into the documents."""
    if index.flaw(source) is not None:
        index.build(source, lambda done, total: None)
    began_s = time.monotonic()
    with _sampled() as memory:
        _replayed(source, folder, contexts, set())
    title = f"Memory while {contexts:,} contexts are replayed by {PROCESSES} processes, all of them together"
    files = write(memory, DOCS, f"memory-replay-{contexts // 1000}k", title)
    growth = memory.growth_mb("replay", WARM_S)
    print(f"  memory grew by {growth} MB, at most {max(memory.mb['replay'])} MB: {files[1]}", flush=True)
    took_s = round(time.monotonic() - began_s, 1)
    return {"contexts": contexts, "growth_mb": growth, "max_mb": max(memory.mb["replay"]), "took_s": took_s}


@contextmanager
def _sampled() -> Iterator[Memory]:
    """Samples of this process and those that it began, for as long as the block lasts."""
    memory, over, began_s = Memory(mb={"replay": []}), threading.Event(), time.monotonic()

    def look() -> None:
        while not over.wait(EVERY_S):
            memory.at_s.append(round(time.monotonic() - began_s, 1))
            memory.mb["replay"].append(usage_of(os.getpid()).rss_mb)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()
