"""Whether a run comes out again as its manifest says."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay import plan, shelf
from replay.plan import Means, Plan
from replay.run import Told, run

AGAIN: Final = "again"  # beside the run's own files, and gone afterwards
CIRCUMSTANCES: Final = ("versions", "models", "policy", "policies", "ledger")


@dataclass(frozen=True, slots=True)
class Verified:
    """Both digests, and what is not alike: of the counts, and of what a decision depends on beside the plan."""

    root_digest: str
    found: str
    differs: dict[str, list[Any]]

    @property
    def holds(self) -> bool:
        """Whether every decision is the same."""
        return self.root_digest == self.found


def verify(file: Path, means: Means, processes: int, told: Told) -> Verified:
    """Run the plan of this manifest again. Raises what `run` raises."""
    was = plan.read_manifest(file)
    own = file if file.is_dir() else file.parent
    folder = own / AGAIN
    with shelf.alone(own):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            now = run(Plan.from_document(was["plan"]), means, folder, processes, told)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    differs = {name: [was[name], now[name]] for name in ("counts", *CIRCUMSTANCES) if was[name] != now[name]}
    return Verified(was["root_digest"], now["root_digest"], differs)
