"""What the README shows is what the project holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_bot_it_shows_is_the_example_that_is_tested() -> None:
    (shown,) = re.findall(r"```python\n(.*?)\n```", README, re.DOTALL)
    assert shown in (ROOT / "examples" / "consumer.py").read_text()


def test_every_target_it_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)(?:[A-Z]+=\S+ )?make ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "GLOSSARY.md", "SECURITY.md"])
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text()
    named = set(re.findall(r"\b((?:[a-z_]+/)+[a-z_]+\.(?:py|md|toml))\b", text))
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []
