"""What holds of every prompt: the context lies inside the fence, as data, and nothing outside it but numbers and the symbol."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deciders.features import compute_features
from deciders.prompt import Prompt, render
from deciders.quoting import clean_text
from schemas.catalogue import Template
from schemas.policy import Policy
from schemas.question import Question
from tests.containment.attacks import MARKS, ROLES
from workers.catalogue import load_catalogue

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "models"
SUMMARY_BYTES_MAX: Final = 260
SYMBOL_BYTES_MAX: Final = 64
BEGIN: Final = "-----BEGIN CONTEXT-----"
END: Final = "-----END CONTEXT-----"
_PLAIN_MARKS: Final = tuple({unicodedata.normalize("NFKC", mark).casefold() for mark in MARKS})


def templates() -> dict[str, Template]:
    """Every template there is: of each model's real weights, and of its stand-in."""
    found = {}
    for name, entry in load_catalogue(FOLDER).items():
        found[f"{name} real"] = entry.template
        if entry.stand_in is not None:
            found[f"{name} stand-in"] = entry.stand_in.template
    return found


def prompt_of(template: Template, question: Question, policy: Policy) -> Prompt:
    """What a worker would ask."""
    return render(template, question, compute_features(question.event.context, policy.features))


def words_around(template: Template, question: Question, policy: Policy) -> tuple[str, str]:
    """What stands before and behind a question's quoted context, rendered without it."""
    if not template.context_chars_max:
        return prompt_of(template, question, policy).user, ""
    before, _, after = template.user.partition(f"\n{BEGIN}\n{{context}}\n{END}")
    bare = template.model_copy(update={"user": before, "context_chars_max": 0})
    return prompt_of(bare, question, policy).user, after


@dataclass(frozen=True, slots=True)
class Parted:
    """A prompt's user part: the words before the quoted context, the context, and the words after it."""

    before: str
    quoted: str
    after: str

    @property
    def data(self) -> dict[str, Any]:
        """The quoted context, read again."""
        read: dict[str, Any] = json.loads(self.quoted)
        return read


def parted(template: Template, prompt: Prompt) -> Parted:
    """The prompt in its parts; a prompt that shows no context has none between them."""
    if not template.context_chars_max:
        return Parted(prompt.user, "{}", "")
    assert prompt.user.splitlines().count(BEGIN) == prompt.user.splitlines().count(END) == 1
    before, _, rest = prompt.user.partition(f"\n{BEGIN}\n")
    quoted, _, after = rest.partition(f"\n{END}")
    return Parted(before, quoted, after)


def check_contained(template: Template, prompt: Prompt, question: Question) -> Parted:
    """The prompt's parts; AssertionError where anything of the context could be taken for more than quoted data."""
    assert prompt.system == template.system
    parts = parted(template, prompt)
    _check_quotation(template, parts)
    _check_words(template, prompt, parts, question)
    return parts


def _check_quotation(template: Template, parts: Parted) -> None:
    quoted = parts.quoted
    assert isinstance(parts.data, dict)
    assert len(quoted.encode()) <= max(template.context_chars_max, len("{}"))
    assert quoted.splitlines() == [quoted]
    assert quoted.isprintable() and clean_text(quoted) == quoted
    plain = unicodedata.normalize("NFKC", quoted).casefold()
    assert [mark for mark in _PLAIN_MARKS if mark in plain] == []
    assert "<" not in quoted and ">" not in quoted and "-----" not in quoted


def _check_words(template: Template, prompt: Prompt, parts: Parted, question: Question) -> None:
    """Outside the quotation stand the template's own lines, and as many of the summary as always."""
    own = template.user.partition("{context}")
    assert parts.after == own[2].removeprefix(f"\n{END}")
    assert len(parts.before.splitlines()) == len(prompt_lines(template)) - 1 + SUMMARY_LINES
    words = parts.before.replace(question.symbol, "", 1)
    assert words.isascii()
    assert len(words.encode()) <= len(own[0].encode()) + SUMMARY_BYTES_MAX
    lines, own_lines = prompt.text.splitlines(), f"{template.system}\n{template.user}".splitlines()
    assert sum(line.startswith(ROLES) for line in lines) == sum(line.startswith(ROLES) for line in own_lines)


SUMMARY_LINES: Final = 12


def prompt_lines(template: Template) -> list[str]:
    """The template's lines above the fence; one of them is the summary's."""
    return template.user.partition(f"\n{BEGIN}\n")[0].splitlines()
