"""Contexts that a model must still be asked about before a replay can decide them: put aside, by model, until they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from replay import shelf
from replay.shelf import Book
from schemas.canonical import canonical_json
from schemas.policy import Policy
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS

MISSING: Final = "missing"  # below a run's folder: a shelf a model


def put_missing(folder: Path, day: str, missing: Mapping[str, Sequence[Record]]) -> None:
    """Put these contexts aside, of one file and so of one partition, by the model that is to be asked."""
    for model, records in missing.items():
        first = records[0].source
        book = Book(CONTEXTS, day, first.partition, first.offset)
        shelf.put(folder / MISSING / model, book, records, records[-1].source.offset + 1)


def missing_in(folder: Path) -> Iterator[tuple[str, list[Record]]]:
    """What lies aside: a model, and contexts that it is to be asked about."""
    for own in sorted((folder / MISSING).glob("*")):
        for book in shelf.books(own, CONTEXTS):
            yield own.name, list(shelf.read(own, book))


def forget_missing(folder: Path) -> None:
    """Nothing lies aside any more."""
    shutil.rmtree(folder / MISSING, ignore_errors=True)


def steered(record: Record, model: str) -> Record:
    """The same context for this model alone. What it is asked is the same under one policy: a preference stands in no prompt."""
    body = json.loads(record.value)
    return replace(record, value=canonical_json(body | {"model_preference": model, "fallback": False}))


def asks_otherwise(wanted: Policy, running: Policy) -> tuple[str, ...]:
    """What makes one context another question under these two policies, by name: then no answer is found under its key."""
    pairs = {
        "features": (wanted.features, running.features),
        "defaults.horizon_s": (wanted.defaults.horizon_s, running.defaults.horizon_s),
    }
    modes = {f"models.{name}.mode": (wanted.of(name).mode, running.of(name).mode) for name in {**wanted.models, **running.models}}
    return tuple(name for name, (own, other) in (pairs | modes).items() if own != other)


def named(model: str, record: Record) -> tuple[str, Source]:
    """What was asked, for telling it again."""
    return model, record.source
