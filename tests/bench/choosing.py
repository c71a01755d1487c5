"""What one choice costs by itself, in microseconds: no broker, no process, the policy that ships, contexts as bots send them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from backbone.settings import Settings
from deciders.dedupe import Dedupe
from deciders.features import compute_features
from deciders.fleet import Fleet, Standing
from deciders.judge import World, judge
from router.choice import load_choice
from schemas.context import read_context
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.source import Source
from schemas.status import HealthState
from schemas.topic import CONTEXTS
from tests.bench.contexts import messages

NOW_MS = 1_764_000_000_000


def choosing(contexts: int, rounds: int) -> dict[str, Any]:
    """Microseconds a context, the median of the rounds: the choice alone, in several fleets, and the whole judgement."""
    settings = Settings()
    policy = Policy.from_toml(settings.policy.read_text())
    choose = load_choice("router.model_router:ModelRouter", settings.models)
    records = [Record(Source(CONTEXTS, 0, each.number), each.key, each.value, (), NOW_MS) for each in messages(1, contexts)]
    questions = [resolve(read_context(each), each, policy) for each in records]
    asked = [(each, compute_features(each.event.context, policy.features)) for each in questions]
    well = Fleet(settings.models, {}, NOW_MS)
    queued = {model: Standing(waiting=3, concurrency=8, service_ms=120.0) for model in settings.models}
    alone = {model: Standing(HealthState.OPEN, "late: 5 of 8") for model in settings.models if model != policy.default}

    def choices(fleet: Fleet) -> None:
        for question, features in asked:
            choose(question, features, policy, fleet)

    def look() -> None:
        for each in questions:
            compute_features(each.event.context, policy.features)

    works: dict[str, Callable[[], None]] = {
        "choose_model, all are well": partial(choices, well),
        "choose_model, queues known": partial(choices, Fleet(settings.models, queued, NOW_MS)),
        "choose_model, all but one are out": partial(choices, Fleet(settings.models, alone, NOW_MS)),
        "features": look,
        "the whole judgement": partial(_judged, records, World(policy, well, choose, lambda _: None)),
    }
    us = {name: _us(work, contexts, rounds) for name, work in works.items()}
    return {"contexts": contexts, "rounds": rounds, "us": us}


def _judged(records: Sequence[Record], world: World) -> None:
    dedupe = Dedupe(len(records))
    for record in records:
        judge(record, dedupe, world, NOW_MS)


def _us(work: Callable[[], None], contexts: int, rounds: int) -> float:
    took_s = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        work()
        took_s.append(time.perf_counter() - began_s)
    return round(statistics.median(took_s) / contexts * 1e6, 2)
