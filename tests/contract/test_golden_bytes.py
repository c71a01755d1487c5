"""What is on the topics stays readable: the golden bytes of version 1 are written and read as ever."""

from __future__ import annotations

import json

import pytest

from schemas.decision import Decision, Status
from schemas.policy import Policy
from schemas.route import Tag
from tests.contract.golden_cases import CASES, GOLDEN, MODELS, asked, policy

pytestmark = pytest.mark.unit

DECISIONS = sorted(name for name in CASES if name.startswith("decision-"))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_message_has_the_bytes_that_were_kept(name: str) -> None:
    assert CASES[name]() == (GOLDEN / name).read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("name", DECISIONS)
def test_a_kept_decision_is_read_and_written_as_it_was(name: str) -> None:
    kept = (GOLDEN / name).read_bytes().rstrip(b"\n")
    assert Decision.from_bytes(kept).to_bytes() == kept


def test_every_status_that_is_not_reserved_is_kept() -> None:
    kept = {json.loads((GOLDEN / name).read_bytes())["status"] for name in DECISIONS}
    assert kept == {status.value for status in Status if status is not Status.SUPERSEDED}


def test_a_kept_tag_is_read_and_written_as_it_was() -> None:
    kept = (GOLDEN / "route.json").read_bytes().rstrip(b"\n")
    assert Tag.from_bytes(kept).to_bytes() == kept


def test_the_founding_documents_body_is_asked_as_it_is() -> None:
    question = asked("context-founding.json")
    assert question.key == b"momentum_bot:BTCUSDT"
    assert question.context_id == "contexts/3/17@1670890000000"
    assert question.content_digest == "d7175b670d5c3d17f1a239ac4256d9f3be24f564bb55e00acb955276b462ec9a"
    assert question.event.limits.max_position_pct == 0.02


def test_every_known_key_of_the_contract_is_read() -> None:
    question = asked("context-full.json")
    event = question.event
    assert event.context.rest == {"order_book": {"bids": [[17_204.5, 1.2]], "asks": [[17_205.0, 0.8]]}}
    assert all(getattr(event.context, name) is not None for name in type(event.context).model_fields)
    assert (question.context_id, question.horizon_s, event.experiment) == ("0192-full", 1800, "arm-b")


def test_the_kept_policys_digest_is_the_one_in_the_decisions() -> None:
    kept = json.loads((GOLDEN / "decision-decided.json").read_bytes())
    assert kept["route"]["policy"] == policy().digest


def test_a_policy_from_before_versions_and_alternatives_is_read_as_it_was_meant() -> None:
    kept = policy()
    assert (kept.version, kept.balance.factor, kept.features.large_position_pct) == (None, 2.0, None)
    assert {(rule.alternatives, rule.min_confidence, rule.mode) for rule in kept.rules} == {((), None, None)}
    assert [kept.mode(rule.model, rule.name) for rule in kept.rules] == ["full"] * 3


def test_every_key_of_a_policy_is_in_the_full_one_with_a_value_of_its_own() -> None:
    full = Policy.from_file((GOLDEN / "policy-full.toml").read_text(encoding="utf-8"), "policy-full.toml", MODELS)
    tables = (full, full.features, full.rules[0], full.balance, full.defaults, full.limits, full.models["fingpt"])
    for table in tables:
        for name, field in type(table).model_fields.items():
            assert getattr(table, name) != field.get_default(call_default_factory=True), f"{type(table).__name__}.{name}"
