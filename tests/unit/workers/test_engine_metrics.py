"""An engine's own numbers are to be had under our names."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from workers.engine_metrics import EngineMetrics
from workers.vitals import Sums, Vitals

pytestmark = pytest.mark.unit


def scraped(vitals: Vitals) -> dict[str, str]:
    registry = CollectorRegistry()
    registry.register(EngineMetrics("phi3", lambda: vitals))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in lines)


def test_an_engines_numbers_are_metrics_of_its_model_and_what_it_does_not_tell_is_left_out() -> None:
    name = "trading_llm_engine_"
    known = scraped(Vitals(0.0, running=3, waiting=2, kv_use=0.5, sums=Sums(100, 64, 1, 120, 7)))
    assert known == {
        name + 'running{model="phi3"}': "3.0",
        name + 'waiting{model="phi3"}': "2.0",
        name + 'kv_cache_use{model="phi3"}': "0.5",
        name + 'prefix_query_tokens_total{model="phi3"}': "100.0",
        name + 'prefix_hit_tokens_total{model="phi3"}': "64.0",
        name + 'preemptions_total{model="phi3"}': "1.0",
        name + 'prompt_tokens_total{model="phi3"}': "120.0",
        name + 'generation_tokens_total{model="phi3"}': "7.0",
    }
    assert scraped(Vitals(0.0, running=1)) == {name + 'running{model="phi3"}': "1.0", name + 'waiting{model="phi3"}': "0.0"}
