"""Which way every model answers, switched as an operator does it: by another policy put in force."""

from __future__ import annotations

from pathlib import Path

from backbone.settings import Settings
from deciders.answer import AnswerMode
from tests.support.stack import Pipeline


def answer_in(pipeline: Pipeline, mode: AnswerMode, version: int, folder: Path) -> None:
    """Put the tree's own policy in force, all its models in this mode; `version` is higher at each call.

    Processes that run read it within half a second.
    """
    text = Settings().policy.read_text(encoding="utf-8").replace('mode = "full"', f'mode = "{mode}"')
    file = folder / f"policy-{version}.toml"
    file.write_text(text.replace("version = 1\n", f"version = {version}\n"), encoding="utf-8")
    applied = pipeline.command("policy", "apply", file)
    assert applied.returncode == 0, applied.stderr
