"""A line is said exactly, whatever stands around it; where nothing is there, the nearest table's is."""

from __future__ import annotations

import pytest

from schemas.toml_line import LINES_MAX, STATEMENT_LINES_MAX, Lines, Path

pytestmark = pytest.mark.unit

TEXT = '''# default = "in a comment"
default = "d"

[features]  # limits.collar_pct = 1
recent_bars = 20
note = """
default = "in a text"
[limits]
"""

[[rules]]
name = "a"

[[rules]]
name = "b"
when = [
  "has_position",  # name = "c"
  "high_volume",
]
model.deep = {a = 1, b = [1, 2]}

[limits]
collar_pct = 0.2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("default",), 2), (("features",), 4), (("features", "recent_bars"), 5), (("features", "note"), 6),
        (("rules",), 11), (("rules", 0, "name"), 12), (("rules", 1), 14), (("rules", 1, "name"), 15), (("rules", 1, "when"), 16),
        (("rules", 1, "when", 1), 16), (("rules", 1, "model", "deep", "b", 1), 20), (("limits", "collar_pct"), 23),
        (("rules", 0, "model"), 11), (("limits", "require_stop"), 22), (("rules", 7), 11), (("fallback", "d"), None), ((), None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_line_is_that_of_the_statement_or_of_the_nearest_table_above(path: Path, line: int | None, ending: str) -> None:
    assert Lines(TEXT.replace("\n", ending)).of(path) == line


def test_of_a_text_that_is_too_long_no_line_is_said() -> None:
    assert Lines("\n" * (LINES_MAX - 1) + "a = 1").of(("a",)) == LINES_MAX
    assert Lines("\n" * LINES_MAX + "a = 1").of(("a",)) is None


def test_of_a_text_with_a_statement_that_is_too_long_no_line_is_said() -> None:
    assert Lines("a = 1\nb = [" + "\n" * (STATEMENT_LINES_MAX - 1) + "]").of(("b",)) == 2
    assert Lines("a = 1\nb = [" + "\n" * STATEMENT_LINES_MAX + "]").of(("a",)) is None
