"""Makes the faults' table of `docs/measurements.md` from the newest line of each case: `python -m tests.faults.table`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from deploy.local.kafka_node import REPOSITORY
from tests.faults.case import COUNTED, read
from tests.faults.mistakes import IN_THE_MODEL, ON_KAFKA, mistakes
from tests.support.second_judge import HOLDS

Line = dict[str, Any]
DOCUMENT = REPOSITORY / "docs" / "measurements.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
FAULTS = {
    "F1": "none",
    "F2": "killed at a stop point",
    "F3": "kill -9 at random",
    "F4": "asleep past its session, then awake",
    "F5": "asleep for 3 s",
    "F6": "commit in doubt",
    "F7": "slow wire, broken connections",
    "F8": "a worker cut off from broker and Redis",
    "F9": "a worker joins or leaves every 5 s",
    "F10": "one of three brokers killed",
    "F13": "Redis gone, slow, wiped",
    "F14": "the engine hangs, dies, lies",
    "F15": "the real engine is killed",
    "F16": "poison",
    "F17": "ten times the load",
    "F20": "yesterday asked again while today goes on",
    "F21": "a transaction that nobody ends",
    "F23": "a model dies with a backlog, or sleeps on it",
    "F24": "a context that kills its worker",
    "F25": "a group's offsets are gone",
    "V8": "none, 100,000 contexts",
    "unplanted": "the planted mistakes' schedules, without them",
}
COLUMNS = (
    "", "fault", "tried", "fired", "contexts", "lost", "twice", "misordered", "phantom",
    "recovery p50 / worst s", "seeds", "passed", "second judge holds", "s",
)  # fmt: skip
HEAD = ("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|")


def newest(lines: Iterable[Line]) -> list[Line]:
    """The last line of each case."""
    return list({(line["fault"], line["name"]): line for line in lines}.values())


def row(fault: str, lines: Sequence[Line]) -> str:
    """One fault's cases together."""
    sums = [sum(line[name] for line in lines) for name in ("tried", "fired", "contexts")]
    found = [each for line in lines for each in line["faults"].items()]
    wrong = [sum(count for kind, count in found if kind in kinds) for kinds in COUNTED.values()]
    recovery = sorted(each for line in lines for each in line["recovery_s"])
    took = f"{median(recovery):.1f} / {recovery[-1]:.1f}" if recovery else ""
    seeds = " ".join(sorted({str(line["seed"]) for line in lines if line["seed"] is not None}))
    passed = f"{sum(line['passed'] for line in lines)} of {len(lines)}"
    heard = [line["second_judge"] for line in lines if line.get("second_judge") is not None]
    second = f"{heard.count(HOLDS)} of {len(heard)}" if heard else ""
    seconds = f"{sum(line['seconds'] for line in lines):.0f}"
    cells = [fault, FAULTS[fault], *map(str, [*sums, *wrong]), took, seeds, passed, second, seconds]
    return f"| {' | '.join(cells)} |"


def figures(lines: Iterable[Line]) -> list[str]:
    """What else the cases measured, a line each."""
    out = []
    for line in lines:
        if line["figures"] and line["fault"] not in (IN_THE_MODEL, ON_KAFKA):
            facts = ", ".join(f"{name} {value}" for name, value in line["figures"].items())
            out.append(f"- {line['fault']} `{line['name']}`: {facts}.")
    return out


def table(lines: Sequence[Line]) -> str:
    """The whole of it, in Markdown."""
    by_fault: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_fault[line["fault"]].append(line)
    rows = [row(fault, by_fault[fault]) for fault in FAULTS if fault in by_fault]
    made = sorted({f"{line['commit']} ({line['broker']}, {line['client']})" for line in lines})
    minutes = sum(line["seconds"] for line in lines) / 60
    of = f"{len(lines)} cases in {minutes:.0f} minutes; commit {', '.join(made)}. Times in seconds."
    return "\n".join([*HEAD, *rows, "", of, "", *mistakes(lines), "", *figures(lines)])


def put(document: Path, text: str) -> None:
    """Write it between the two marks of this document."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{document} has no {BEGIN} and {END} to write between")
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> int:
    """The command line: 0 written, 1 there is nothing to write."""
    lines = newest(read())
    if not lines:
        sys.stderr.write("no case has left a line yet: run `make faults`\n")
        return 1
    put(DOCUMENT, table(lines))
    sys.stdout.write(table(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
