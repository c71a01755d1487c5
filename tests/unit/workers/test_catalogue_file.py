"""What was prepared is written into a catalogue file, and every comment and every other value stays."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workers.snapshots import CATALOGUE, COMMIT
from workers.catalogue import CatalogueError
from workers.catalogue_file import Part, with_files

pytestmark = pytest.mark.unit

TEXTS = {path.stem: path.read_text() for path in sorted(CATALOGUE.glob("*.toml"))}
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,30}\.(safetensors|json|model)", fullmatch=True)
SHAS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
FILES = st.dictionaries(NAMES, SHAS, min_size=1, max_size=6)


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=20)
@given(first=FILES, then=FILES)
def test_only_the_revision_and_the_digests_change(name: str, first: dict[str, str], then: dict[str, str]) -> None:
    text = TEXTS[name]
    once = with_files(text, "weights", COMMIT, first)
    again = with_files(once, "weights", COMMIT[::-1], then)
    meant = tomllib.loads(text)
    meant["weights"] |= {"revision": COMMIT[::-1], "files": then}
    assert tomllib.loads(again) == meant
    before, after = ([line for line in each.splitlines() if "#" in line] for each in (text, again))
    assert [line.partition("#")[2] for line in before] == [line.partition("#")[2] for line in after]
    assert with_files(once, "weights", COMMIT, first) == once


def test_an_adapters_table_is_its_own() -> None:
    written = tomllib.loads(with_files(TEXTS["fingpt"], "adapter", COMMIT, {"a.json": "0" * 64}))
    assert written["adapter"]["files"] == {"a.json": "0" * 64} and written["adapter"]["revision"] == COMMIT
    assert written["weights"] == tomllib.loads(TEXTS["fingpt"])["weights"]


def test_comments_in_the_table_stay_and_a_table_that_is_absent_is_made() -> None:
    text = '[weights]\nrevision = "r"  # why\nid = "x"\n\n[weights.files]\n# ours\n"old.json" = "1"\n\n[engine]\nn = 1\n'
    assert with_files(text, "weights", COMMIT, {"new.json": "2"}) == (
        f'[weights]\nrevision = "{COMMIT}"  # why\nid = "x"\n\n[weights.files]\n"new.json" = "2"\n# ours\n\n[engine]\nn = 1\n'
    )
    bare = text.replace('[weights.files]\n# ours\n"old.json" = "1"\n\n', "")
    assert tomllib.loads(with_files(bare, "weights", COMMIT, {"new.json": "2"}))["weights"]["files"] == {"new.json": "2"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('weights = { revision = "r", files = {} }\n', "weights"),
        ('[weights]\nrevision = "r"\nfiles = { "a" = "b" }\n', "weights"),
        ("[weights]\nrevision = 'r'\n[weights.files]\n", "weights"),
    ],
)
def test_a_file_that_is_written_in_another_way_is_left_alone(text: str, part: Part) -> None:
    with pytest.raises(CatalogueError, match=r"cannot be edited safely: write `revision` as one line of \[weights\]"):
        with_files(text, part, COMMIT, {"new.json": "2"})
