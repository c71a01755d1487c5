"""A replay, carried out: by one process or several, resumed where it was stopped, with one manifest at its end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import count, islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from replay import export, index, plan, shelf
from replay.again import Miss
from replay.chunk import LINES, Worker
from replay.inference import asked, asked_about, asked_in, check_asked_alike, policy_of
from replay.missing import MISSING, forget_missing, missing_in, named
from replay.plan import Counts, Means, Plan
from replay.root import root_digest
from replay.shelf import Book
from schemas.size import ATTEMPTS_MAX
from schemas.source import Source
from schemas.topic import CONTEXTS

AHEAD: Final = 2  # chunks a process has before it, so that none waits for the next one
GARBAGE_AFTER: Final = 50_000  # objects, a hundred contexts' worth: looking each 700 took a tenth of the time
RUN_DIGITS: Final = 12
ROUNDS_MAX: Final = ATTEMPTS_MAX + 1

Told = Callable[[str, int, int], None]  # what is done now, how much of it, of how much


class Stopped(Exception):
    """A process of the run ended by itself; what was done stays, and the same plan goes on from there."""


def folder_of(runs: Path, wanted: Plan, means: Means) -> Path:
    """Where this plan's run is kept: the one that was stopped, else a new one beside those that are done."""
    name = plan.plan_digest(wanted, means)[:RUN_DIGITS]
    found = (runs / f"{name}-{number}" for number in count(1))
    return next(folder for folder in found if not (folder / plan.FILE).exists())


def run(wanted: Plan, means: Means, folder: Path, processes: int, told: Told) -> dict[str, Any]:
    """Replay this plan into this folder; answers the manifest. Raises Miss, Unanswered, Leak, and Stopped.

    1. the export must be whole, and its index, where answers are looked for in it, the one of its files
    2. each of its files of contexts that is not done
    3. the digest over all of them, then the manifest: who finds one finds a whole run
    """
    export.require_whole(wanted.source)  # 1
    if wanted.engine == "recorded":
        plan.ground_of(wanted, means)  # what is wrong with it is said here, not by a process that ends
        if index.flaw(wanted.source) is not None:
            index.build(wanted.source, lambda done, total: told("indexing", done, total))
    with shelf.alone(folder):
        return _ran(wanted, means, folder, processes, told)


def _ran(wanted: Plan, means: Means, folder: Path, processes: int, told: Told) -> dict[str, Any]:
    shelf.sweep(folder)
    books = [book for book in shelf.books(wanted.source, CONTEXTS) if _may_hold(book, wanted)]
    counts = _decided(wanted, means, folder, processes, books, told)  # 2
    root = root_digest(sorted((folder / LINES).glob("*")), folder / "between")  # 3
    shutil.rmtree(folder / "between")
    document = plan.manifest(wanted, means, folder.name, counts, root)
    if wanted.engine == "infer":
        document["policy"] = policy_of(folder)
    plan.write_manifest(folder, document)
    return document


def _decided(wanted: Plan, means: Means, folder: Path, processes: int, books: list[Book], told: Told) -> Counts:
    """What all of them come to. Where models must be asked first, they are, and all is decided again: a round a link."""
    if wanted.engine == "infer":
        return _summed(asked(wanted, means, folder, books, partial(told, "asking")), len(books), told)
    before: set[tuple[str, Source]] = set()
    for _ in range(ROUNDS_MAX):
        forget_missing(folder)
        counts = _summed(_counted(wanted, means, folder, processes, books), len(books), told)
        if not (folder / MISSING).exists():
            counts.asked = asked_in(wanted.source, folder, means)
            return counts
        check_asked_alike(wanted, means)
        for model, records in missing_in(folder):
            if again := before & {named(model, each) for each in records}:
                raise Miss(f"{min(again)[1]}: {model} was asked about it, and no answer under its key came back")
            asked_about(wanted, means, folder, model, records, partial(told, f"asking {model}"))
            before |= {named(model, each) for each in records}
        index.build(wanted.source, lambda done, total: told("indexing", done, total))
    raise Miss(f"answers are missing after {ROUNDS_MAX} rounds of asking")


def _summed(found: Iterator[Counts], books: int, told: Told) -> Counts:
    counts = Counts()
    for number, own in enumerate(found, start=1):
        counts.add(own)
        told("deciding", number, books)
    return counts


def _may_hold(book: Book, wanted: Plan) -> bool:
    """Whether a file of this day can hold something of the plan's range."""
    first, last = (None if moment is None else shelf.day_of(moment) for moment in (wanted.from_ms, wanted.to_ms))
    return (first is None or book.day >= first) and (last is None or book.day <= last)


def _counted(wanted: Plan, means: Means, folder: Path, processes: int, books: list[Book]) -> Iterator[Counts]:
    arguments = (wanted, means, folder, folder.name)
    if processes == 1:
        worker = Worker.ready(*arguments)
        try:
            yield from map(worker.decide, books)
        finally:
            worker.index.close()
        return
    # Spawned, not forked: what decides must not depend on what this process had done before.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=arguments)
    try:
        yield from _in_turn(pool, iter(books), processes * AHEAD)
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            process.kill()  # what it is deciding is not done, and is decided again, whole
        raise
    except BrokenProcessPool as error:
        raise Stopped(f"a process of the replay ended by itself: {error}; the same command goes on where it was") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_turn(pool: ProcessPoolExecutor, books: Iterator[Book], ahead: int) -> Iterator[Counts]:
    """As they are asked for, a few at a time: a million files need no million tasks, and a miss stops what is not begun."""
    under_way: deque[Future[Counts]] = deque(_begun(pool, book) for book in islice(books, ahead))
    while under_way:
        yield under_way.popleft().result()
        under_way.extend(_begun(pool, book) for book in islice(books, 1))


def _begun(pool: ProcessPoolExecutor, book: Book) -> Future[Counts]:
    # This may start a process, which ignores what this one ignores: Ctrl-C reaches all of them, and the first ends the others.
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return pool.submit(_decide, book)
    finally:
        signal.signal(signal.SIGINT, heard)


_worker: Worker | None = None  # of this process


def _begin(wanted: Plan, means: Means, folder: Path, run_id: str) -> None:
    global _worker
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    _worker = Worker.ready(wanted, means, folder, run_id)
    gc.freeze()  # what it has by now it keeps: not to be looked through again
    gc.set_threshold(GARBAGE_AFTER)


def _end_with(first: BaseProcess | None) -> None:
    # Where the first process was killed, nobody ends the others: they would wait for work for ever, in a folder that is resumed.
    assert first is not None, "this is the first process"
    first.join()
    os._exit(1)


def _decide(book: Book) -> Counts:
    assert _worker is not None, "the process was not made ready"
    return _worker.decide(book)
