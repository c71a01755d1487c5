"""What a case tried, and what came of it: a line of `.local/faults/results.jsonl`; `tests.faults.table` makes a table of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiokafka

from deploy.local.kafka_node import KAFKA_HOME, REPOSITORY
from tests.support.watch import SECOND_JUDGE, Verdict

RESULTS = REPOSITORY / ".local" / "faults" / "results.jsonl"
GIVEN_UP = "dead:undecidable"  # among a verdict's statuses
# The table's columns, and how the kinds of fault begin that a verdict names.
COUNTED = {
    "lost": ("lost", "waiting"),
    "twice": ("twice", "overtaken"),
    "misordered": ("misordered",),
    "phantom": ("phantom", "swapped", "rewritten"),
}


@dataclass(slots=True)
class Case:
    """One case. `tried`: how often its fault was to strike; `fired`: how often it is known to have struck."""

    fault: str
    name: str
    tried: int = 1
    fired: int = 0
    contexts: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    recovery_s: list[float] = field(default_factory=list)  # from the fault to the next output of each lane that it hit
    seed: int | None = None
    figures: dict[str, float | int | str] = field(default_factory=dict)  # whatever else it measured
    second_judge: str | None = None  # what it said, where there is one

    def judge(self, verdict: Verdict, contexts: int | None = None, *, gives_up: bool = False) -> None:
        """Keep what the logs say, and fail unless they are faultless and the fault struck as often as was tried.

        `contexts`: how many of the log are this case's; None: all. `gives_up`: records may end `undecidable`, which is an
        outcome too, but of a pipeline that does its work only where a record kills it.
        """
        self.contexts = verdict.contexts if contexts is None else contexts
        self.second_judge = verdict.counted.get(SECOND_JUDGE)
        self.faults = {kind.partition(":")[0]: found.count for kind, found in verdict.faults.items()}
        assert verdict.holds, str(verdict)
        assert gives_up or GIVEN_UP not in verdict.statuses, f"given up: {verdict}"
        assert self.fired >= self.tried > 0, f"{self.fired} of {self.tried}: a fault that never struck proves nothing"

    def catch(self, verdict: Verdict, fired: int, kinds: Collection[str]) -> None:
        """Keep what the logs say of a planted mistake, and fail unless they betray it, in one of these ways."""
        self.contexts, self.fired, self.second_judge = verdict.contexts, fired, verdict.counted.get(SECOND_JUDGE)
        self.figures = {kind.partition(":")[0]: found.count for kind, found in verdict.faults.items()}
        assert fired > 0, "what the mistake needs to do harm did not happen"
        assert verdict.faults.keys() & set(kinds), f"not found: {verdict}"

    def keep(self, passed: bool, seconds: float) -> None:
        """Append its line."""
        line = asdict(self) | {"passed": passed, "seconds": round(seconds, 1), "at": int(time.time())} | versions()
        line["recovery_s"] = [round(each, 3) for each in self.recovery_s]
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")


def versions() -> dict[str, str]:
    """Of what was tested, and on what."""
    jars = [jar.stem.rpartition("-")[2] for jar in KAFKA_HOME.glob("libs/kafka_*.jar")]
    asked = ("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {"commit": commit, "broker": f"Kafka {''.join(jars[:1])}", "client": f"aiokafka {aiokafka.__version__}"}


def read(path: Path = RESULTS) -> list[dict[str, object]]:
    """Every line so far, oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
