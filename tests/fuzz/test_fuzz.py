"""A short campaign against each parser finds nothing, and a campaign finds what is planted."""

from __future__ import annotations

import json
import random

import pytest

from tests.fuzz import answer, context
from tests.fuzz.campaign import Target, campaign

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("target", "executions"), [(context.TARGET, 400), (answer.TARGET, 1_500)], ids=["context", "answer"])
def test_whatever_is_parsed_ends_as_it_should(target: Target, executions: int) -> None:
    found = campaign(target, random.Random(1), iter(range(executions)))
    assert found.findings == {}
    assert found.executions == executions and found.kept > 0 and len(found.outcomes) > 3


def test_every_sample_is_valid() -> None:
    assert all(context.outcome(raw).startswith("question") for raw in context.TARGET.samples[:-1])
    assert any(answer.outcome(raw).startswith("DECIDED") for raw in answer.TARGET.samples)


def test_a_campaign_finds_a_parser_that_trusts_its_input() -> None:
    sample = json.dumps({"news": [{"text": "calm"}]}).encode()
    planted = Target("planted", [sample], lambda raw: str(json.loads(raw)["news"][0]["text"]))
    found = campaign(planted, random.Random(1), iter(range(300)))
    assert any(where.startswith("KeyError") for where in found.findings)
    assert any(where.startswith("JSONDecodeError") for where in found.findings)
