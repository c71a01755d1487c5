"""What is wrong with a policy file: each thing with its line, its key and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from schemas.broken_rule import UNKNOWN_FIELD, field_path, validation_flaws
from schemas.toml_line import line_of

Key = tuple[str | int, ...]  # the way to a value from the top: ("rules", 1, "model")

# What the rule itself does not say: how to mend it.
_REMEDIES: Final = {UNKNOWN_FIELD: "remove it, or correct its spelling", "is required": "add it"}


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong: where, and in a sentence what, with the remedy after a semicolon."""

    key: Key
    rule: str
    line: int | None = None

    def said(self, name: str) -> str:
        """`policy.toml, line 23: rules[1].model: …`"""
        place = name if self.line is None else f"{name}, line {self.line}"
        return f"{place}: {field_path(self.key) or 'the file'}: {self.rule}"


class PolicyError(ValueError):
    """A policy cannot be used. `lines`: each thing that is wrong, a line each, with its place and the remedy."""

    def __init__(self, *lines: str) -> None:
        more = f" (and {len(lines) - 1} more: `trading-llm policy check` names all)" if len(lines) > 1 else ""
        super().__init__(f"{lines[0]}{more}")
        self.lines = lines


def invalid(error: ValidationError) -> list[Flaw]:
    """What validation found."""
    return [Flaw(key, _with_remedy(rule)) for key, (_, rule) in validation_flaws(error)]


def refusal(name: str, text: str, flaws: Iterable[Flaw]) -> PolicyError:
    """The error that says all of these, each with its line in the text, in the order of the lines."""
    placed = [Flaw(each.key, each.rule, line_of(text, each.key)) for each in flaws]
    return PolicyError(*(each.said(name) for each in sorted(placed, key=lambda flaw: flaw.line or 0)))


def _with_remedy(rule: str) -> str:
    remedy = _REMEDIES.get(rule)
    return rule if remedy is None else f"{rule}; {remedy}"
