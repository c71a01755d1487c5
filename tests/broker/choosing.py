"""Contexts that are to be routed by what is in them, and who answered."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from schemas.decision import Decision
from schemas.headers import SRC, header_text
from schemas.source import Source
from schemas.topic import DECISIONS
from tests.support import feed
from tests.support.kafka import MODELS
from tests.support.stack import Pipeline
from tests.support.watch import Watch

BASE = {"price": 100.0, "volatility": 0.2, "volume_ratio": 1.0, "sentiment": 0.0}


def running(pipeline: Pipeline, router: dict[str, str] | None = None, **scripts: str) -> Generator[Pipeline, None, None]:
    """A router and a worker of each model, ready, until this is closed; `scripts`: what a model's engine is to do."""
    try:
        pipeline.router(env=router or {})
        for model in MODELS:
            pipeline.worker(model, env={"TRADING_LLM_SCRIPT": scripts.get(model, "{}")})
        for process in pipeline.started:
            process.wait_ready()
        yield pipeline
    finally:
        pipeline.close()


def asking(label: str, contexts: Sequence[dict[str, Any]], **fields: Any) -> list[feed.Body]:
    """A question a market, in its own words where they differ from a calm one."""
    own = {"bot_id": "chooser"} | fields
    names = [{"context_id": f"{label}-{n}", "symbol": f"{label}{n}USD"} for n in range(len(contexts))]
    return [own | name | {"context": BASE | context} for name, context in zip(names, contexts, strict=True)]


async def decided(watch: Watch, contexts: Sequence[feed.Body]) -> list[Decision]:
    """The decisions on these contexts, sent now, in their order."""
    sources = await feed.send(watch.settings.kafka_bootstrap, contexts)
    await watch.until_answered(sources)
    found = {Source.parse(header_text(each.headers, SRC) or ""): Decision.from_bytes(each.value) for each in watch.of(DECISIONS)}
    return [found[source] for source in sources]


def asked(decision: Decision) -> tuple[str | None, str | None]:
    """Who answered, and by which rule."""
    return decision.model.name if decision.model else None, decision.route.rule
