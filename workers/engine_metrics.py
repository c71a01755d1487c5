"""An engine's own numbers under the names of ours: `trading_llm_engine_*`. They are read when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from workers.vitals import Vitals

PREFIX = "trading_llm_engine_"
GAUGES = {
    "running": ("running", "Questions that the engine computes now."),
    "waiting": ("waiting", "Questions that wait inside the engine."),
    "kv_cache_use": ("kv_use", "Share of the KV cache that is in use."),
}
COUNTERS = {
    "prefix_query_tokens": ("prefix_queries", "Prompt tokens that were looked up in the prefix cache."),
    "prefix_hit_tokens": ("prefix_hits", "Prompt tokens that were found in the prefix cache."),
    "preemptions": ("preemptions", "Questions that were put back for want of KV cache."),
    "prompt_tokens": ("prompt_tokens", "Prompt tokens of the questions computed, cached ones among them."),
    "generation_tokens": ("generation_tokens", "Tokens generated."),
}


class EngineMetrics(Collector):
    """One model's engine as metrics; what it does not tell is left out."""

    def __init__(self, model: str, vitals: Callable[[], Vitals]) -> None:
        self._model, self._vitals = model, vitals

    def collect(self) -> Iterator[Metric]:
        """Each number that is known now."""
        vitals = self._vitals()
        for families, names, told in (
            (GaugeMetricFamily, GAUGES, vitals),
            (CounterMetricFamily, COUNTERS, vitals.sums),
        ):
            for name, (of, what) in names.items():
                if (value := getattr(told, of, None)) is not None:
                    family = families(PREFIX + name, what, labels=["model"])
                    family.add_metric([self._model], value)
                    yield family
