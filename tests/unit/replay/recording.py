"""A live run without a broker: the router's judge and the workers' askers, in turn, and what an export would make of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backbone.settings import REPOSITORY, Settings
from deciders.dedupe import Dedupe
from deciders.fleet import Fleet, Standing
from deciders.judge import Choose, World, routed
from deciders.stranded import HOPELESS_MS, Stranded
from replay import export, shelf
from replay.export import TOPICS, Export, Stretch
from replay.plan import Means, Plan
from replay.shelf import Book
from router.model_router import ModelRouter
from schemas.decision import Decision, failed_of
from schemas.halt import Halt
from schemas.policy import Policy
from schemas.record import Headers, Output, Record
from schemas.source import Source
from schemas.status import HealthState
from schemas.tagged import Hop, as_written, question_from_tag
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS
from workers.admission import Admission
from workers.ask import Asker
from workers.catalogue import load_catalogue, serve
from workers.engine import identity_of
from workers.engine_scripted import ScriptedEngine

MODELS = ("deepseek", "fingpt", "phi3", "qwen")
CATALOGUE = REPOSITORY / "deploy" / "models"
SERVED = {name: serve(entry, CATALOGUE, None) for name, entry in load_catalogue(CATALOGUE).items()}
POLICY = Policy.from_toml((REPOSITORY / "router" / "policy.toml").read_text(encoding="utf-8"))
HELD = "HALT"  # a symbol with this in it is halted


def plan(source: Path, **fields: Any) -> Plan:
    """A plan to replay all of this shelf."""
    own: dict[str, Any] = {
        "from_ms": None, "to_ms": None, "symbols": (), "policy": None, "models": MODELS, "fleet": "recorded", "on_miss": "stop",
        "min_confidence": 0.7, "router": "",
    }  # fmt: skip
    return Plan(source=source, **own | fields)


def changed_means(part: str) -> Means:
    """Today's models, but that this part of DeepSeek's answers is another: of its prompt, one byte."""
    own = means()
    was = own.identities["deepseek"]
    if part == "prompt":
        new = replace(was, template=was.template.model_copy(update={"system": was.template.system + "."}))
    elif part == "sampling":
        new = replace(was, answer_tokens_max=was.answer_tokens_max + 1)
    else:
        new = replace(was, **{part: "0" * 64})
    return Means({**own.identities, "deepseek": new}, own.choose_of)


def choice() -> Choose:
    return ModelRouter(MODELS).choose


def means() -> Means:
    """The models of the catalogue on the scripted engine."""
    return Means({name: identity_of("scripted", each) for name, each in SERVED.items()}, choice)


@dataclass
class _Control:
    policy_: Policy
    fresh: bool = True
    halt: Halt | None = None

    def policy(self, digest: str | None = None) -> Policy | None:
        return self.policy_

    def halt_for(self, bot_id: str, symbol: str, model: str | None) -> Halt | None:
        return Halt(scope=f"symbol/{symbol}", why="a test") if HELD in symbol else self.halt


@dataclass
class Live:
    """The pipeline in this process. `scripts`: what a model's engine is to do; `down`: who is rescued from."""

    scripts: dict[str, dict[str, Any]] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    down: str | None = None
    committed: tuple[bool, Halt | None, int] | None = None  # when a decision is written: whether control is fresh, halt, how late
    policy: Policy = POLICY
    choose: Choose = field(default_factory=choice)
    contexts: list[Record] = field(default_factory=list)
    outcomes: list[Record] = field(default_factory=list)
    dedupe: dict[int, Dedupe] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings, fleet = Settings(models=MODELS, hung_s=0.1), Fleet(MODELS)
        control = self.control = _Control(self.policy)
        engines = {name: ScriptedEngine(SERVED[name], json.dumps(self.scripts.get(name, {}))) for name in MODELS}
        self.askers = {
            name: Asker(settings, SERVED[name], engine, control, Admission(4, engine.vitals), fleet)  # type: ignore[arg-type]
            for name, engine in engines.items()
        }

    async def ask(self, value: object, partition: int = 0, late_ms: int = 0, headers: Headers = ()) -> Record:
        """One context, from the log to its outcome; `late_ms`: how long it lay in the log before anybody read it."""
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        offset = 3 * len(self.contexts)  # with gaps, as transactions leave them
        came = Record(Source(CONTEXTS, partition, offset), b"k", raw, headers, now_ms() - late_ms)
        self.contexts.append(came)
        output = self._routed(came)
        while output.topic not in (DECISIONS, DEAD_LETTERS):
            output = await self._worked(output)
        at = Source(output.topic, partition, len(self.outcomes))
        self.outcomes.append(Record(at, output.key, output.value, output.headers, now_ms()))
        return self.outcomes[-1]

    def decisions(self) -> list[Decision]:
        """All that were made, in their order."""
        return [Decision.from_bytes(each.value) for each in self.outcomes if each.source.topic == DECISIONS]

    def _routed(self, came: Record) -> Output:
        fleet = Fleet(MODELS, self.standings, now_ms())
        world = World(self.policy, fleet, self.choose, lambda question: None)
        names = self.dedupe.setdefault(came.source.partition, Dedupe(1000))
        way = routed(came, names, world, now_ms())
        output = as_written(way).outputs[0]
        if isinstance(way, Hop):  # a replay takes it as it is, and a worker as it reads it
            assert question_from_tag(_logged(output)) == (way.question, way.tag)
        return output

    async def _worked(self, output: Output) -> Output:
        model = output.topic.removeprefix(f"{CONTEXTS}.")
        tagged = _logged(output)
        if model != self.down:
            result = await self.askers[model].decide(tagged)
            if self.committed is not None and result.again is not None:
                self.control.fresh, self.control.halt, later_ms = self.committed
                result = result.again(now_ms() + later_ms) or result
            return result.outputs[0]
        fleet = Fleet(MODELS, {model: Standing(HealthState.DOWN, "no worker")})
        stranded = Stranded(tagged, model, *question_from_tag(tagged), failed_of(tagged))
        late_ms = max(now_ms(), stranded.question.valid_until_ms - HOPELESS_MS)
        rescued = next(
            filter(None, (stranded.rescued(fleet, lambda digest: self.policy, at) for at in (now_ms(), late_ms))), None
        )
        assert rescued is not None
        return rescued.result.outputs[0]

    def put(self, folder: Path, file_records: int = 4) -> Path:
        """The shelf that an export makes of it, in small files."""
        for topic, records in ((CONTEXTS, self.contexts), (DECISIONS, self.outcomes), (DEAD_LETTERS, self.outcomes)):
            own = [each for each in records if each.source.topic == topic]
            for partition in sorted({each.source.partition for each in own}):
                _put(folder, [each for each in own if each.source.partition == partition], file_records)
        first_ms, last_ms = self.contexts[0].timestamp_ms, now_ms()
        stretches = tuple(Stretch(topic, 0, 0, 1 << 30) for topic in TOPICS)
        found = {topic: sum(shelf.rows(folder, book) for book in shelf.books(folder, topic)) for topic in TOPICS}
        whole = Export(first_ms - 86_400_000, last_ms + 1, stretches, complete=True, records=found)
        shelf.written(folder / export.FILE, whole.to_bytes())
        shelf.written(folder / "policies" / f"{self.policy.digest}.toml", self.policy.text.encode())
        return folder


def _logged(output: Output) -> Record:
    return Record(Source(output.topic, 0, 0), output.key, output.value, output.headers, now_ms())


def _put(folder: Path, records: Sequence[Record], file_records: int) -> None:
    for at in range(0, len(records), file_records):
        part = records[at : at + file_records]
        source, day = part[0].source, shelf.day_of(part[0].timestamp_ms)
        shelf.put(folder, Book(source.topic, day, source.partition, source.offset), part, part[-1].source.offset + 1)


def now_ms() -> int:
    return int(time.time() * 1000)


def body(number: int, **fields: Any) -> dict[str, Any]:
    """A question of its own; `fields` over it."""
    context = {"price": 100.0 + number, "volatility": 0.2, "volume_ratio": 1.0, "sentiment": 0.0} | fields.pop("context", {})
    return {"context": context, "bot_id": "bot", "symbol": f"S{number}USD", "context_id": f"c-{number}"} | fields
