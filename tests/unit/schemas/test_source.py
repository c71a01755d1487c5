"""A source is written and read in one way."""

from __future__ import annotations

import pytest

from schemas.origin import Origin, default_context_id, origin_of
from schemas.source import Source
from tests.unit.samples import FOUNDING, LOGGED_MS, record, replayed

pytestmark = pytest.mark.unit


def test_a_source_reads_as_it_was_written() -> None:
    source = Source("replay.contexts", 3, 17)
    assert str(source) == "replay.contexts/3/17"
    assert Source.parse(str(source)) == source
    assert Source("contexts", 1, 10) > Source("contexts", 1, 9)


@pytest.mark.parametrize("text", ["", "contexts", "contexts/1", "/1/2", "contexts/a/2", "contexts/1/-2", "contexts/1/²"])
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not topic/partition/offset"):
        Source.parse(text)


@pytest.mark.parametrize(
    "text", ["", "contexts/1/2", "contexts/1/2@", "contexts/1/2@x", "contexts/1@5", "contexts/1/2@" + "9" * 16]
)
def test_what_names_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not topic/partition/offset"):
        Origin.parse(text)


def test_a_question_without_an_id_is_named_by_where_it_first_stood() -> None:
    assert default_context_id(record(FOUNDING)) == f"contexts/3/17@{LOGGED_MS}"
    assert default_context_id(replayed(FOUNDING)) == "contexts/1/5@1600000000000"


def test_a_broken_origin_is_as_good_as_none_and_a_live_one_is_ignored() -> None:
    assert origin_of(replayed(FOUNDING, origin="nowhere")).src == Source("replay.contexts", 3, 17)
    live = record(FOUNDING, headers=(("origin", b"contexts/1/5@1600000000000"),))
    assert origin_of(live) == Origin(Source("contexts", 3, 17), LOGGED_MS)
