"""Writes the digests of a stand-in's files into its catalogue entry, where whoever serves it checks them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from deploy.stand_ins.questions import CATALOGUE


def write_digests(name: str) -> None:
    """Replaces the entry's `[stand_in.weights.files]` table, and the adapter's where there is one."""
    path = CATALOGUE / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    for part, folder in (("weights", name), ("adapter", f"{name}-adapter")):
        text = _with_table(text, f"[stand_in.{part}.files]", CATALOGUE / "stand_ins" / folder)
    path.write_text(text, encoding="utf-8")


def _with_table(text: str, header: str, folder: Path) -> str:
    lines = [f'"{path.name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"' for path in sorted(folder.glob("*"))]
    table = "\n".join([header, *lines, "", ""])
    return re.sub(re.escape(header) + r"\n(?:\"[^\n]*\n)*\n", lambda _: table, text)
