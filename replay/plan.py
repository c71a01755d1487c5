"""What a replay is to do: the plan that its results are named by, and the manifest that they are told by."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from backbone.settings import Settings
from deciders.identity import Identity
from deciders.judge import Choose
from replay import export, shelf
from replay.again import FleetOf, Ground, OnMiss
from schemas.canonical import canonical_json, digest, rfc3339
from schemas.policy import Policy

EngineOf = Literal["recorded", "infer"]
FORM: Final = "replay-manifest/1"
FILE: Final = "manifest.json"
NEEDED: Final = (
    "root_digest",
    "counts",
    "policy",
    "policies",
    "ledger",
    "versions",
    "models",
    "plan",
)  # of a manifest, to verify it
# Whose code decides and chooses: a replay by other code is another plan.
ROOMS: Final = ("schemas", "deciders", "replay", "router")
REPOSITORY: Final = Path(__file__).resolve().parent.parent


class PlanError(ValueError):
    """The plan cannot be carried out; the text names what, and the remedy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay of what an export holds. What is None is not narrowed; `policy` is a text, in the place of the recorded ones.

    `engine`: whether answers are the recorded ones, or the running models are asked; `mask`: these without market and time.
    """

    source: Path
    from_ms: int | None
    to_ms: int | None
    symbols: tuple[str, ...]
    policy: str | None
    models: tuple[str, ...]
    fleet: FleetOf
    on_miss: OnMiss
    min_confidence: float
    router: str
    engine: EngineOf = "recorded"
    mask: bool = False

    def covers(self, logged_ms: int) -> bool:
        """Whether a context is in the plan that the log took at this moment."""
        return (self.from_ms is None or logged_ms >= self.from_ms) and (self.to_ms is None or logged_ms < self.to_ms)

    def document(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        return asdict(self) | {"source": str(self.source), "symbols": list(self.symbols), "models": list(self.models)}

    @classmethod
    def from_document(cls, told: Mapping[str, Any]) -> Plan:
        """The plan in such a document; KeyError and TypeError where there is none."""
        own = {name: told[name] for name in cls.__dataclass_fields__}
        source = Path(told["source"])
        return cls(**own | {"source": source, "symbols": tuple(told["symbols"]), "models": tuple(told["models"])})


@dataclass(frozen=True, slots=True)
class Means:
    """What this machine gives to a plan: the models as they are served here, who chooses among them, and where they run.

    `choose_of` makes the choice anew in each process; all of it must be such as can be sent to one.
    """

    identities: Mapping[str, Identity]
    choose_of: Callable[[], Choose]
    settings: Settings = field(default_factory=Settings)

    def told(self) -> dict[str, Any]:
        """What of each model its answers depend on."""
        return {
            name: {
                "template": digest(each.template.model_dump_json().encode()),
                "tokenizer": each.tokenizer,
                "weights": each.weights,
                "adapter": each.adapter,
                "answer_tokens_max": each.answer_tokens_max,
                "knowledge_cutoff": None if each.knowledge_cutoff is None else each.knowledge_cutoff.isoformat(),
            }
            for name, each in sorted(self.identities.items())
        }


@dataclass(slots=True)
class Counts:
    """How many contexts came to what. `open`: none yet, so that nothing tells how they would end.

    `asked`: how often a model was asked.
    """

    contexts: int = 0
    decisions: int = 0
    dead_letters: int = 0
    open: int = 0
    misses: int = 0
    asked: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Take these in, too."""
        for name in ("contexts", "decisions", "dead_letters", "open", "misses", "asked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count


def versions() -> dict[str, str]:
    """What decides: this project, its code, and Python."""
    files = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
    code = sha256()
    for path in files:
        code.update(path.relative_to(REPOSITORY).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {"trading_llm": version("trading-llm"), "code": code.hexdigest(), "python": sys.version.split()[0]}


def plan_digest(plan: Plan, means: Means) -> str:
    """What a run is named by: the plan, the ledger, the code, and the models. Whatever may change a decision changes it."""
    told = {"plan": plan.document(), "ledger": ledger_of(plan), "versions": versions(), "models": means.told()}
    return digest(canonical_json(told))


def ledger_of(plan: Plan) -> str:
    """A digest of all in the export that the plan's decisions may depend on; of answers where it adds none."""
    return export.contents(plan.source, answers=plan.engine == "recorded" and plan.on_miss != "infer")


def ground_of(plan: Plan, means: Means) -> Ground:
    """What contexts are decided on. Raises PlanError where no policy is known."""
    recorded = [Policy.from_toml(text) for text in export.policies(plan.source)]
    own = None if plan.policy is None else Policy.from_toml(plan.policy).restricted_to(plan.models)
    if own is None and not recorded:
        raise PlanError(f"{plan.source}/policies holds no policy: give one with --policy, or export again")
    return Ground(
        policies={each.digest: each.restricted_to(plan.models) for each in recorded},
        policy=own,
        running=plan.models,
        identities=means.identities,
        choose=means.choose_of(),
        min_confidence=plan.min_confidence,
        fleet=plan.fleet,
        on_miss=plan.on_miss,
    )


def manifest(plan: Plan, means: Means, run_id: str, counts: Counts, root: str) -> dict[str, Any]:
    """What a run came to, with all that it depends on."""
    held = export.read_export(plan.source)
    policies = [digest(text.encode()) for text in export.policies(plan.source)]
    return {
        "form": FORM,
        "run_id": run_id,
        "root_digest": root,
        "range": {
            "from": rfc3339(max(held.from_ms, plan.from_ms or held.from_ms)),
            "to": rfc3339(min(held.to_ms, plan.to_ms or held.to_ms)),
        },
        "counts": asdict(counts),
        "engine": plan.engine,
        "mask": plan.mask,
        "engine_calls": counts.asked,
        "policy": None if plan.policy is None else digest(plan.policy.encode()),
        "policies": policies,
        "ledger": ledger_of(plan),
        "versions": versions(),
        "models": means.told(),
        "plan": plan.document(),
    }


def write_manifest(folder: Path, told: Mapping[str, Any]) -> Path:
    """Write it, whole or not at all; answers where."""
    shelf.written(folder / FILE, json.dumps(told, indent=1, ensure_ascii=False).encode())
    return folder / FILE


def read_manifest(file: Path) -> dict[str, Any]:
    """The manifest in this file, or in this folder. Raises PlanError where there is none."""
    path = file / FILE if file.is_dir() else file
    try:
        told: dict[str, Any] = json.loads(path.read_bytes())
        form = told["form"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise PlanError(f"{path} is no manifest of a replay: {error!r}") from None
    if form != FORM:
        raise PlanError(f"{path}: form: must be {FORM}, not {form}")
    if missing := [name for name in NEEDED if name not in told]:
        raise PlanError(f"{path}: {missing[0]}: is missing; run the replay again")
    try:
        Plan.from_document(told["plan"])
    except (KeyError, TypeError) as error:
        raise PlanError(f"{path}: plan: {error!r}; run the replay again") from None
    return told
