"""One digest for the same decisions, in whatever order and however many files they lie."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay import root
from replay.root import in_order, root_digest
from schemas.canonical import canonical_json, digest

pytestmark = pytest.mark.unit

NAMES = st.text("aAzZ09._-", min_size=1, max_size=3)
ROWS = st.lists(st.tuples(NAMES, NAMES, st.text(max_size=4), st.integers()), max_size=30)


@given(rows=ROWS, chance=st.randoms(use_true_random=False), parts=st.integers(1, 7))
def test_the_digest_is_of_the_lines_sorted_by_bot_symbol_and_context(
    rows: list[tuple[str, str, str, int]], chance: random.Random, parts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [canonical_json(row) + b"\n" for row in rows]
    expected = digest(b"".join(sorted(lines, key=lambda each: (*rows[lines.index(each)][:3], each))))
    chance.shuffle(lines)
    folder = tmp_path_factory.mktemp("lines")
    files = []
    for number in range(parts):
        files.append(folder / str(number))
        files[-1].write_bytes(b"".join(in_order(lines[number::parts])))
    assert root_digest(files, folder / "between") == expected


def test_more_files_than_may_be_open_are_merged_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for number in range(40):
        files.append(tmp_path / f"{number}.lines")
        files[-1].write_bytes(
            b"".join(in_order(canonical_json([str(each % 7), "S", str(each), number]) + b"\n" for each in range(9)))
        )
    whole = root_digest(list(files), tmp_path / "whole")
    monkeypatch.setattr(root, "OPEN_MAX", 4)
    assert root_digest(list(files), tmp_path / "turns") == whole
