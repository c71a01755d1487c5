"""How the models are doing, from what is known of them."""

from __future__ import annotations

import pytest

from gateway.models import Models
from gateway.outcome import Answered, outcome_of
from schemas.record import Record
from schemas.source import Source
from schemas.status import HealthState, Heartbeat, ModelStatus

pytestmark = pytest.mark.unit

CATALOGUE = ("deepseek", "phi3", "qwen")


def beat(model: str, ordinal: int = 0, **more: object) -> Heartbeat:
    own = {"process": f"worker-{model}-{ordinal}", "model": model, "at_ms": 2, "started_at_ms": 1, "state": "ready"}
    return Heartbeat.model_validate(own | more)


def states(models: Models, *beats: Heartbeat) -> dict[str, HealthState]:
    return {each.name: each.state for each in models.status({beat.process: beat for beat in beats})}


def test_a_model_without_a_heartbeat_is_down() -> None:
    models = Models(CATALOGUE, ("deepseek", "phi3"))
    found = states(models, beat("phi3"), beat("deepseek", state="loading"))
    assert found == {"deepseek": HealthState.DOWN, "phi3": HealthState.HEALTHY, "qwen": HealthState.DOWN}


def test_without_redis_nobody_is_called_dead() -> None:
    reasons = {each.name: (each.state, each.reason) for each in Models(CATALOGUE, ("phi3",)).status(None)}
    assert reasons["phi3"] == (HealthState.DEGRADED, "heartbeats cannot be read: Redis is away")


def test_the_figures_of_several_workers_are_taken_together() -> None:
    two = {"a": beat("phi3", 0, queue=1, in_flight=2, p50_ms=3.0), "b": beat("phi3", 1, queue=10, in_flight=20, p99_ms=9.0)}
    found = next(each for each in Models(CATALOGUE, CATALOGUE).status(two) if each.name == "phi3")
    assert (found.queue, found.in_flight, found.p50_ms, found.p99_ms) == (11, 22, 3.0, 9.0)


def test_what_the_router_says_of_a_model_goes_before_heartbeats() -> None:
    models = Models(CATALOGUE, CATALOGUE)
    told = ModelStatus(name="phi3", state=HealthState.OPEN, reason="five failures")
    models.told(Record(Source("models.status", 0, 0), b"phi3", told.model_dump_json().encode(), (), 0))
    assert states(models, beat("phi3"))["phi3"] is HealthState.OPEN
    models.told(Record(Source("models.status", 0, 1), b"phi3", b"", (), 0))
    assert states(models, beat("phi3"))["phi3"] is HealthState.HEALTHY


def test_the_routers_word_keeps_its_times_and_heartbeats_only_fill_the_figures() -> None:
    models = Models(CATALOGUE, CATALOGUE)
    said = {"state": "OPEN", "reason": "of 10 attempts in 30 s hung 9", "since": "2026-01-01T00:00:00.000Z"}
    told = ModelStatus(name="phi3", next_probe="2026-01-01T00:00:05.000Z", **said)
    models.told(Record(Source("models.status", 0, 0), b"phi3", told.model_dump_json().encode(), (), 0))
    (found,) = (each for each in models.status({"a": beat("phi3", queue=3, p50_ms=7.0)}) if each.name == "phi3")
    assert found == told.model_copy(update={"queue": 3, "in_flight": 0, "p50_ms": 7.0})


def test_a_model_that_runs_no_more_is_down_whatever_was_once_said_of_it() -> None:
    models = Models(CATALOGUE, ("deepseek",))
    told = ModelStatus(name="phi3", state=HealthState.HEALTHY)
    models.told(Record(Source("models.status", 0, 0), b"phi3", told.model_dump_json().encode(), (), 0))
    assert states(models)["phi3"] is HealthState.DOWN


def test_the_share_is_of_the_decisions_seen() -> None:
    models = Models(CATALOGUE, CATALOGUE)
    for offset, name in enumerate(("phi3", "phi3", "qwen", "", "phi3")):
        models.decided(Answered(Source("contexts", 0, offset), ("b", "s", str(offset)), "", name, "", "", b"", 0))
    assert {each.name: each.share for each in models.status({})} == {"deepseek": 0.0, "phi3": 0.75, "qwen": 0.25}


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"model": 7}'])
def test_a_record_that_is_no_decision_is_none(value: bytes) -> None:
    with pytest.raises(ValueError):
        outcome_of(Record(Source("decisions", 0, 0), None, value, (("src", b"contexts/0/1"),), 0))


def test_a_record_without_its_source_is_no_outcome() -> None:
    with pytest.raises(ValueError):
        outcome_of(Record(Source("contexts.dlq", 0, 0), None, b"", (), 0))


def test_a_header_that_is_no_utf8_hides_no_outcome() -> None:
    headers = (("src", b"contexts/0/1"), ("reason", b"not_json"), ("theirs", b"\xff\xfe"))
    assert outcome_of(Record(Source("contexts.dlq", 0, 0), None, b"", headers, 0)).src == Source("contexts", 0, 1)
