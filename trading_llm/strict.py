"""What keeps a record from parsing under the contract, to the last header; in sentences. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from schemas import headers as names
from schemas.decision import Decision
from schemas.halt import Halt
from schemas.policy import Policy
from schemas.record import Record
from schemas.refusal import Reason
from schemas.status import ModelStatus
from schemas.topic import CONTROL, Side

REASONS: Final = frozenset(reason.value for reason in Reason)
FLAW_CHARACTERS_MAX: Final = 200
_HALT: Final = re.compile(r"halt/(all|symbol/.+|bot/.+|model/.+)", re.DOTALL)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """The reserved headers of one kind of output: those it must have, those it may beside what is kept, and its `schema`."""

    must: frozenset[str]
    may: frozenset[str]
    schema: bytes


_EVERY: Final = frozenset((names.SRC, names.CONTEXT_ID, names.CONTENT_TYPE, names.SCHEMA))
_CUT: Final = frozenset((names.TRUNCATED, names.LENGTH, names.SHA256))
HOP: Final = Form(_EVERY | {names.ROUTE}, frozenset({names.FAILED}), names.CONTEXT_SCHEMA)
DECISION: Final = Form(_EVERY, frozenset(), names.DECISION_SCHEMA)
DEAD_LETTER: Final = Form(_EVERY | {names.REASON, names.DETAIL}, _CUT, names.CONTEXT_SCHEMA)


def header_flaws(record: Record, form: Form) -> Iterator[str]:
    """What is wrong with the pipeline's own headers: one is missing, strange, there twice, or says something else."""
    found = Counter(name for name, _ in record.headers if name in names.RESERVED)
    kept = names.KEPT_OF[Side.of(record.source.topic)]
    for name in sorted(form.must - found.keys()):
        yield f"has no header {name}"
    for name, count in found.items():
        if name not in form.must | form.may | kept:
            yield f"has a header {name}, which has no place there"
        elif count > 1:
            yield f"has {count} headers {name}"
    for name, value in ((names.CONTENT_TYPE, names.JSON_CONTENT), (names.SCHEMA, form.schema)):
        if name in found and names.header(record.headers, name) != value:
            yield f"says {name} {names.header_text(record.headers, name)!r}, not {value.decode()!r}"


def letter_flaws(record: Record) -> Iterator[str]:
    """What is wrong with a dead letter's headers."""
    yield from header_flaws(record, DEAD_LETTER)
    reason = names.header_text(record.headers, names.REASON)
    if reason is not None and reason not in REASONS:
        yield f"has the reason {reason!r}"
    cut = _CUT & {name for name, _ in record.headers}
    if cut and (cut != _CUT or names.header(record.headers, names.TRUNCATED) != b"true"):
        yield f"says of its cut only {', '.join(sorted(cut))}"


def notice_flaw(record: Record) -> str | None:
    """What is wrong with a record of `control` or `models.status`, if anything."""
    key = (record.key or b"").decode("utf-8", "replace")
    try:
        if record.source.topic == CONTROL:
            _check_control(key, record)
        elif not record.tombstone and ModelStatus.model_validate_json(record.value).name != key:
            return f"names another model than its key {key!r}"
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return f"{key}: {told(error)}"
    return None


def _check_control(key: str, record: Record) -> None:
    digest = key.removeprefix("policy/")
    if _HALT.fullmatch(key):
        if not record.tombstone:
            Halt.model_validate({"scope": key.removeprefix("halt/"), **json.loads(record.value)})
    elif key == "policy/current":
        if _DIGEST.fullmatch(json.loads(record.value)) is None:
            raise ValueError("must be the digest of a policy")
    elif key.startswith("policy/") and _DIGEST.fullmatch(digest):
        if not record.tombstone and Policy.from_toml(json.loads(record.value)["text"]).digest != digest:
            raise ValueError("holds a policy of another digest")
    else:
        raise ValueError("is a key that names nothing")


def decision_flaws(record: Record, decision: Decision) -> Iterator[str]:
    """What is wrong with a decision that was read: its headers, or a field that is not there."""
    yield from header_flaws(record, DECISION)
    if missing := Decision.model_fields.keys() - decision.model_fields_set:
        yield f"lacks {', '.join(sorted(missing))}"


def told(error: Exception) -> str:
    """What does not parse, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:FLAW_CHARACTERS_MAX]
    return " ".join(str(error).split())[:FLAW_CHARACTERS_MAX]
