"""What is wrong with a policy file: each thing with its line, its key and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from schemas.broken_rule import UNKNOWN_FIELD, field_path, validation_flaws
from schemas.toml_line import Lines

Key = tuple[str | int, ...]  # the way to a value from the top: ("rules", 1, "model")

FLAWS_MAX: Final = 20  # said; the rest is counted: nobody mends more at a time, and each line costs parsing
# What the sentence itself does not say: how to mend it.
_REMEDIES: Final = {UNKNOWN_FIELD: "remove it, or correct its spelling", "is required": "add it"}


@dataclass(frozen=True, slots=True)
class PolicyFlaw:
    """One thing that is wrong: where, and in a sentence what, with the remedy after a semicolon or as what it must be."""

    key: Key
    sentence: str
    line: int | None = None

    def said(self, name: str) -> str:
        """`policy.toml, line 23: rules[1].model: …`"""
        place = name if self.line is None else f"{name}, line {self.line}"
        return f"{place}: {field_path(self.key) or 'the file'}: {self.sentence}"


class PolicyError(ValueError):
    """A policy cannot be used. `lines`: each thing that is wrong, a line each, with its place and the remedy.

    Of more than `FLAWS_MAX` the last line counts the others, `unsaid` of them.
    """

    def __init__(self, *lines: str, unsaid: int = 0) -> None:
        more, named = len(lines) - 1 + unsaid, f"the first {len(lines)}" if unsaid else "all"
        super().__init__(f"{lines[0]} (and {more} more: `trading-llm policy check` names {named})" if more else lines[0])
        self.lines = (*lines, f"and {unsaid} more") if unsaid else lines


def invalid(error: ValidationError) -> list[PolicyFlaw]:
    """What validation found."""
    return [PolicyFlaw(key, _with_remedy(rule)) for key, (_, rule) in validation_flaws(error)]


def refusal(name: str, flaws: Sequence[PolicyFlaw], text: str | None = None) -> PolicyError:
    """The error that says these: in a text each with its line, in the order of the lines."""
    said = flaws[:FLAWS_MAX]
    if text is not None:
        lines = Lines(text)
        placed = [PolicyFlaw(each.key, each.sentence, lines.of(each.key)) for each in said]
        said = sorted(placed, key=lambda flaw: flaw.line or 0)
    return PolicyError(*(each.said(name) for each in said), unsaid=len(flaws) - len(said))


def _with_remedy(rule: str) -> str:
    remedy = _REMEDIES.get(rule)
    return rule if remedy is None else f"{rule}; {remedy}"
