"""Writing what was prepared into a model's catalogue file: its revision and digests, and not a letter else.

The table is edited as text, since the project has no library that keeps a TOML file's comments; the result is parsed and
compared with what stood there before it counts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from workers.catalogue import CatalogueError

Part = Literal["weights", "adapter"]
HEADER = re.compile(r"\s*\[")
REVISION = re.compile(r'(\s*revision\s*=\s*)"[^"\\]*"')
ENTRY = re.compile(r'\s*["\w]')


def with_files(text: str, part: Part, revision: str, files: Mapping[str, str]) -> str:
    """The catalogue file's text with this revision and these digests; CatalogueError where it is written in another way."""
    lines = text.splitlines()
    _set_revision(lines, part, revision)
    _set_files(lines, part, files)
    written = "\n".join(lines) + "\n"
    if not _only_differs_as_meant(text, written, part, revision, files):
        raise CatalogueError(
            f"[{part}.files] cannot be edited safely: write `revision` as one line of [{part}], and "
            f"[{part}.files] as a table with one file a line"
        )
    return written


def _section(lines: Sequence[str], header: str) -> tuple[int, int] | None:
    """From the line behind the header to the next header; None where there is no such table."""
    for at, line in enumerate(lines):
        if line.partition("#")[0].strip() == header:
            ends = (end for end in range(at + 1, len(lines)) if HEADER.match(lines[end]))
            return at + 1, next(ends, len(lines))
    return None


def _set_revision(lines: list[str], part: Part, revision: str) -> None:
    begin, end = _section(lines, f"[{part}]") or (0, 0)
    for at in range(begin, end):
        if REVISION.match(lines[at]):
            lines[at] = REVISION.sub(lambda found: f'{found[1]}"{revision}"', lines[at], count=1)


def _set_files(lines: list[str], part: Part, files: Mapping[str, str]) -> None:
    listed = [f'"{name}" = "{sha}"' for name, sha in sorted(files.items())]
    section = _section(lines, f"[{part}.files]")
    if section is None:
        _, end = _section(lines, f"[{part}]") or (0, len(lines))
        lines[end:end] = [f"[{part}.files]", *listed, ""]
        return
    begin, end = section
    kept = [line for line in lines[begin:end] if not ENTRY.match(line)]  # comments and empty lines
    lines[begin:end] = [*listed, *kept]


def _only_differs_as_meant(before: str, after: str, part: Part, revision: str, files: Mapping[str, str]) -> bool:
    try:
        meant: dict[str, Any] = tomllib.loads(before)
        meant[part] = meant[part] | {"revision": revision, "files": dict(files)}
        return tomllib.loads(after) == meant
    except tomllib.TOMLDecodeError:
        return False
