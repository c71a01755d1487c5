"""What the models are asked stays what it was: a changed prompt is a changed generation key, and is seen here.

`python -m tests.contract.test_prompts` writes the kept prompts anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deciders.features import compute_features
from deciders.prompt import Prompt, render
from tests.contract.golden_cases import asked, policy
from workers.catalogue import load_catalogue

pytestmark = pytest.mark.unit

KEPT = Path(__file__).parent / "prompts"
CATALOGUE = load_catalogue(Path(__file__).resolve().parents[2] / "deploy" / "models")
CASES = [(name, kind, context) for name in CATALOGUE for kind in ("real", "stand-in") for context in ("full", "founding")]


def prompt(name: str, kind: str, context: str) -> Prompt:
    entry = CATALOGUE[name]
    serving = entry if kind == "real" else entry.stand_in
    assert serving is not None
    question = asked(f"context-{context}.json")
    return render(serving.template, question, compute_features(question.event.context, policy().features))


def kept(name: str, kind: str, context: str) -> Path:
    return KEPT / f"{name}-{kind}-{context}.txt"


@pytest.mark.parametrize(("name", "kind", "context"), CASES)
def test_a_prompt_is_the_one_that_was_kept(name: str, kind: str, context: str) -> None:
    assert prompt(name, kind, context).text == kept(name, kind, context).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_founding_documents_context_is_quoted_whole(name: str) -> None:
    found = prompt(name, "real", "founding")
    assert '{"price":45000.0,"volume":1000000.0}' in found.user and found.trimmed == ()


if __name__ == "__main__":
    for case in CASES:
        kept(*case).write_text(prompt(*case).text, encoding="utf-8")
