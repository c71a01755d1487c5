"""The planted mistakes' table: which of the eleven the model found, and which the running pipeline betrayed on Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IN_THE_MODEL, ON_KAFKA = "model", "planted"  # what their lines have as their fault
MISTAKES = {
    "a": "one_transactional_id_a_process",
    "b": "the_offset_read_before_the_fence",
    "c": "the_producer_kept_after_a_doubtful_commit",
    "d": "auto_commit",
    "e": "send_futures_not_awaited",
    "f": "the_bitmap_not_written",
    "g": "a_result_published_before_an_earlier_one_of_its_key",
    "h": "a_watermark_that_waits_for_markers",
    "i": "a_fenced_rescuer_that_claims_again_at_once",
    "j": "its_own_record_taken_for_a_repeat",
    "k": "no_committed_offset_taken_as_earliest",
}
HEAD = ("| | planted mistake | the model finds | on Kafka the logs betray | caught |", "|---|---|---|---|---|")


def mistakes(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table, and how many were caught, by the newest lines; nothing where none was planted."""
    found = {(line["fault"], _bare(line["name"])): line for line in lines if line["fault"] in (IN_THE_MODEL, ON_KAFKA)}
    if not found:
        return []
    rows, caught = [], 0
    for letter, name in MISTAKES.items():
        tries = [found.get((where, name)) for where in (IN_THE_MODEL, ON_KAFKA)]
        is_caught = all(line is not None and line["passed"] for line in tries)
        caught += is_caught
        told = [_told(line) for line in tries]
        rows.append(f"| ({letter}) | {name.replace('_', ' ')} | {told[0]} | {told[1]} | {'yes' if is_caught else '**no**'} |")
    return [*HEAD, *rows, "", f"Planted mistakes caught: {caught} of {len(MISTAKES)}."]


def _bare(name: str) -> str:
    return name.partition("[")[2].removesuffix("]") or name


def _told(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "not tried"
    return ", ".join(f"{name} {value}" for name, value in line["figures"].items()) if line["passed"] else "not found"
