"""The JSON Schemas say what the code takes."""

from __future__ import annotations

import json

import pytest

from schemas.documents import json_schemas

pytestmark = pytest.mark.unit


def test_every_message_has_a_schema_that_can_be_written() -> None:
    schemas = json_schemas()
    assert {"context", "decision", "route", "policy", "halt", "model-status"} <= schemas.keys()
    json.dumps(schemas)


def test_the_envelope_is_closed_and_the_context_open() -> None:
    context = json_schemas()["context"]
    assert context["additionalProperties"] is False
    assert set(context["required"]) == {"context", "bot_id", "symbol"}
    assert context["$defs"]["MarketContext"]["additionalProperties"] is True


def test_every_field_of_a_decision_is_always_there() -> None:
    decision = json_schemas()["decision"]
    assert set(decision["required"]) == set(decision["properties"])


def test_a_tag_has_the_routes_fields_and_its_own() -> None:
    properties = json_schemas()["route"]["properties"]
    assert {"rule", "attempts", "received_at", "as_of", "valid_until"} <= properties.keys()
