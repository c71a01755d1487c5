"""A dead letter is what came, as far as it fits, with the reason beside it."""

from __future__ import annotations

import hashlib

import pytest

from schemas import headers as names
from schemas.dead_letter import Reason, dead_letter_output
from schemas.record import Record
from schemas.size import VALUE_BYTES_MAX
from schemas.source import Source
from tests.unit.samples import LOGGED_MS, record, replayed

pytestmark = pytest.mark.unit


def test_the_bytes_stay_as_they_came() -> None:
    came = record(b"\xff\x00 no json", key=b"k", headers=(("own", b"1"), ("src", b"forged")))
    output = dead_letter_output(came, came.source, Reason.NOT_JSON, "it is no JSON: ü")
    assert (output.topic, output.key, output.value) == ("contexts.dlq", b"k", came.value)
    assert dict(output.headers) == {
        "src": b"contexts/3/17",
        "context-id": f"contexts/3/17@{LOGGED_MS}".encode(),
        "reason": b"not_json",
        "detail": "it is no JSON: ü".encode(),
        "content-type": b"application/json",
        "schema": b"context/1",
        "own": b"1",
    }


def test_what_does_not_fit_is_cut_and_says_so() -> None:
    value = bytes(range(256)) * 1024 + b"!"
    assert len(value) == VALUE_BYTES_MAX + 1
    came = record(value, key=b"k" * 5_000)
    output = dead_letter_output(came, came.source, Reason.TOO_LARGE, "x" * 10_000)
    assert output.value == value[: 64 * 1024]
    assert output.key is None
    assert names.header(output.headers, "truncated") == b"true"
    assert names.header(output.headers, "length") == str(len(value)).encode()
    assert names.header(output.headers, "sha256") == hashlib.sha256(value).hexdigest().encode()
    assert len(names.header(output.headers, "detail") or b"") <= 510


def test_a_record_without_a_key_stays_without_one() -> None:
    came = record(b"{}")
    assert dead_letter_output(came, came.source, Reason.NO_SENDER, "d").key is None


def test_a_replays_dead_letters_are_its_own() -> None:
    came = replayed(b"{}")
    output = dead_letter_output(came, came.source, Reason.NO_SENDER, "d")
    assert output.topic == "replay.dlq"
    assert names.header(output.headers, "context-id") == b"contexts/1/5@1600000000000"


def test_a_worker_names_the_question_it_gives_up() -> None:
    tagged = Record(Source("contexts.qwen", 0, 8), b"k", b"{}", (), LOGGED_MS)
    src = Source("contexts", 3, 17)
    known = dead_letter_output(tagged, src, Reason.UNDECIDABLE, "four claims", "mine")
    assert names.header(known.headers, "context-id") == b"mine"
    unknown = dead_letter_output(tagged, src, Reason.UNDECIDABLE, "four claims")
    assert names.header(unknown.headers, "context-id") is None
    assert names.header(unknown.headers, "src") == b"contexts/3/17"
