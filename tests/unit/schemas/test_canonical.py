"""Equal things have equal bytes, and an instant is written and read in one way."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import canonical_json, digest, parse_rfc3339, rfc3339

pytestmark = pytest.mark.unit


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical_json({"b": [1, "ü"], "a": 2.5}) == canonical_json({"a": 2.5, "b": [1, "ü"]})
    assert canonical_json({"b": [1, "ü"], "a": None}) == '{"a":null,"b":[1,"ü"]}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical_json([value])


def test_a_digest_is_the_sha256() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_an_instant_reads_as_it_was_written(epoch_ms: int) -> None:
    text = rfc3339(epoch_ms)
    assert parse_rfc3339(text) == epoch_ms
    assert len(text) == 24


@pytest.mark.parametrize(
    ("text", "epoch_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31t23:30:00.5-00:30", 500),
        ("1969-12-31 23:59:59.999z", -1),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, epoch_ms: int) -> None:
    assert parse_rfc3339(text) == epoch_ms


@pytest.mark.parametrize(
    "text", ["", "now", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00Z", "0", "1970-13-01T00:00:00Z"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|no date"):
        parse_rfc3339(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999-00:01", "0001-01-01T00:00:00+00:01"])
def test_an_instant_that_could_not_be_written_again_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_rfc3339(text)
