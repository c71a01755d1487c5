"""A replay that asks the running models again: each file's contexts, one file after the other, and their answers kept."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backbone.topics import policy_in_force
from replay import shelf
from replay.again import Again, Miss
from replay.asking import Ends, ask, stands
from replay.chunk import Made, done_before, keep, kept
from replay.index import ANSWERS
from replay.leaks import told_by
from replay.mask import as_of_of, masked
from replay.missing import asks_otherwise, steered
from replay.plan import Counts, Means, Plan
from replay.shelf import Book
from schemas.canonical import digest, rfc3339
from schemas.decision import Decision, Status
from schemas.policy import Policy
from schemas.record import Record
from schemas.topic import DECISIONS, Side

# The name that this run has in the log: dedupe is within it, so no other may have it; and the policy that was in force.
RUN: Final = "run.json"
ASKED: Final = "asked"  # what is being asked: under which name, and where the log stood before

Told = Callable[[int, int], None]  # how many contexts have their outcome, of how many


class Leak(Exception):
    """A masked prompt tells what it must not; the text names the context and what is told. Nothing of its file was asked."""


def asked(wanted: Plan, means: Means, folder: Path, books: Sequence[Book], told: Told) -> Iterator[Counts]:
    """What the contexts of each of these files come to, asked again, in turn. Raises Unanswered, Leak and Fatal."""
    own = _Run(wanted, means, folder, _run_id(folder, means), _running(means))
    total, before = sum(shelf.rows(wanted.source, book) for book in books), 0
    for book in books:
        yield own.decide(book, _further(told, before, total))
        before += shelf.rows(wanted.source, book)
        told(before, total)


def _running(means: Means) -> Policy:
    """The policy by which the running processes ask: the one in force, else the one that they began with."""
    found = asyncio.run(policy_in_force(means.settings))
    return found or Policy.from_toml(means.settings.policy.read_text(encoding="utf-8"))


def check_asked_alike(wanted: Plan, means: Means) -> None:
    """Raises Miss where the running models are asked otherwise than this plan's own policy asks: before anything is spent."""
    if wanted.policy is not None and (told := asks_otherwise(Policy.from_toml(wanted.policy), _running(means))):
        how = f"asks otherwise than the policy in force ({', '.join(told)})"
        raise Miss(f"--policy: {how}: put it in force with `trading-llm policy apply` first")


def _further(told: Told, before: int, total: int) -> Callable[[int], None]:
    return lambda done: told(before + done, total)


def policy_of(folder: Path) -> str | None:
    """The digest of the policy that was in force when models were first asked for this run; each decision names its own."""
    file = folder / RUN
    return json.loads(file.read_bytes())["policy"] if file.exists() else None


def _run_id(folder: Path, means: Means) -> str:
    file = folder / RUN
    if not file.exists():
        policy = asyncio.run(policy_in_force(means.settings))
        begun = {"run_id": f"{folder.name}-{secrets.token_hex(4)}", "policy": None if policy is None else policy.digest}
        shelf.written(file, json.dumps(begun).encode())
    return str(json.loads(file.read_bytes())["run_id"])


def asked_about(wanted: Plan, means: Means, folder: Path, model: str, records: Sequence[Record], told: Told) -> None:
    """Ask this model about these contexts of one file, and keep its answers beside the source. Raises Unanswered and Fatal.

    Where it was killed, it goes on; once its answers are kept, asking again is another asking, under another name.
    """
    first = records[0].source
    note = folder / ASKED / f"{model}-{first.partition}-{first.offset}.json"
    asking = _Noted.at(note, means, f"{_run_id(folder, means)}-{secrets.token_hex(4)}-{model}")
    put = [steered(each, model) for each in records]
    outcomes = asyncio.run(ask(means.settings, asking.since, asking.run_id, put, lambda done: told(done, len(records))))
    found = [(each, outcomes[each.source]) for each in records]
    made = [kept(each, Decision.from_bytes(came.value)) for each, came in found if _is_decision(came)]
    if made:
        book = Book(DECISIONS, shelf.day_of(records[0].timestamp_ms), first.partition, made[0].source.offset)
        shelf.put(wanted.source / ANSWERS / asking.run_id, book, made, book.first)
    note.unlink()


@dataclass(frozen=True, slots=True)
class _Noted:
    """The name that an asking has in the log, and where the log stood before it."""

    run_id: str
    since: Ends

    @classmethod
    def at(cls, note: Path, means: Means, run_id: str) -> _Noted:
        """The one that was noted here before it was killed, else a new one of this name, noted now."""
        if not note.exists():
            ends = asyncio.run(stands(means.settings))
            begun = {"run_id": run_id, "since": [[*place, end] for place, end in ends.items()]}
            shelf.written(note, json.dumps(begun).encode())
        found = json.loads(note.read_bytes())
        return cls(found["run_id"], {(topic, partition): end for topic, partition, end in found["since"]})


def asked_in(source: Path, folder: Path, means: Means) -> int:
    """How often models were asked for what this run lacked."""
    if not (folder / RUN).exists():
        return 0
    own = (source / ANSWERS).glob(f"{_run_id(folder, means)}-*")
    records = (record for shelved in own for book in shelf.books(shelved, DECISIONS) for record in shelf.read(shelved, book))
    return sum(_asked(Decision.from_bytes(each.value)) for each in records)


def _asked(decision: Decision) -> int:
    return sum(each.outcome != "rescued" for each in decision.route.attempts)


@dataclass(frozen=True, slots=True)
class _Run:
    plan: Plan
    means: Means
    folder: Path
    run_id: str
    policy: Policy  # whose thresholds the masked prompts are rendered with, to be looked through

    def decide(self, book: Book, told: Callable[[int], None]) -> Counts:
        if (done := done_before(self.folder, book)) is not None:
            return done
        records = [each for each in shelf.read(self.plan.source, book) if self._wants(each)]
        put = [self._masked(each) for each in records] if self.plan.mask else records
        note = self.folder / ASKED / f"{book.name.replace('/', '-')}.json"
        asking = _Noted.at(note, self.means, self.run_id)
        outcomes = asyncio.run(ask(self.means.settings, asking.since, asking.run_id, put, told))
        made = Made()
        for record in records:
            self._take(made, record, outcomes[record.source])
        return keep(made, book, self.folder, self.plan.source / ANSWERS / self.run_id)

    def _wants(self, record: Record) -> bool:
        symbols = self.plan.symbols
        return self.plan.covers(record.timestamp_ms) and (not symbols or _symbol(record) in symbols)

    def _masked(self, record: Record) -> Record:
        hidden = masked(record)
        templates = [each.template for each in self.means.identities.values()]
        if told := told_by(hidden, record, templates, self.policy):
            raise Leak(f"{record.source}: its masked prompt tells {', '.join(told)}: nothing of its file was asked")
        return hidden

    def _take(self, made: Made, record: Record, outcome: Record) -> None:
        if not _is_decision(outcome):
            made.take(record, Again(None), self.run_id)
            return
        decision = Decision.from_bytes(outcome.value)
        made.counts.asked += _asked(decision)
        made.take(record, Again(self._shown(decision, record) if self.plan.mask else decision), self.run_id)

    def _shown(self, decision: Decision, record: Record) -> Decision:
        """The decision on the context as it was: of its market, in its time."""
        shown: dict[str, Any] = {"symbol": _symbol(record) or decision.symbol, "content_digest": digest(record.value)}
        if decision.as_of is None or decision.status is Status.REJECTED:
            return decision.model_copy(update=shown)
        as_of_ms = as_of_of(record)
        shown["as_of"] = rfc3339(as_of_ms)
        if decision.model is not None:
            cutoff = self.means.identities[decision.model.name].cutoff(as_of_ms)
            shown["model"] = decision.model.model_copy(update={"cutoff": cutoff})
        return decision.model_copy(update=shown)


def _is_decision(outcome: Record) -> bool:
    """Whether it is one, and no dead letter."""
    return outcome.source.topic == Side.REPLAYS.decisions


def _symbol(record: Record) -> str | None:
    """What it is about, as far as that can be read."""
    try:
        return str(json.loads(record.value)["symbol"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
