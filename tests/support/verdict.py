"""What a run came to, judged from its logs alone: complete, once, in order, without phantoms, with true marks. Pure.

It knows nothing of how the run was made, and shares no code with what it judges but the messages themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from backbone.progress import Mark
from schemas.canonical import parse_rfc3339
from schemas.decision import Decision, Status
from schemas.headers import REASON, ROUTE, SRC, header_text
from schemas.record import Record
from schemas.refusal import Reason
from schemas.route import Tag
from schemas.source import Source

LOST = "lost: acknowledged and without an outcome"
TWICE = "twice: more than one outcome"
ID_TWICE = "twice: a context_id with two decisions"
MISORDERED = "misordered: for its key and model, at the first attempt"
PHANTOM = "phantom: an output of a context that nobody sent"
SWAPPED = "swapped: an outcome that is about another context"
MALFORMED = "malformed: an output that does not parse"
LATE = "late: it acts after its valid_until"
MARK_AHEAD = "mark ahead: committed as finished, without an output"
MARK_BEHIND = "mark behind: an output is there, committed as unfinished"
OPEN = "open: a transaction has not ended"

BY_A_MODEL = frozenset({Status.DECIDED, Status.ABSTAINED_LOW_CONFIDENCE, Status.BLOCKED_BY_RISK})
Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True)
class Logs:
    """Everything that a run left behind: committed records of each topic, and what the groups committed.

    `marks`: for each partition that is read in a lane. `acknowledged`: the contexts whose send returned, None for all of
    the log; another one may have one outcome or none. `open_places`: where the last stable offset is not the end.
    """

    contexts: tuple[Record, ...]
    hops: tuple[Record, ...]
    decisions: tuple[Record, ...]
    dead_letters: tuple[Record, ...]
    marks: Mapping[Place, Mark] = field(default_factory=dict)
    acknowledged: Collection[Source] | None = None
    open_places: Collection[Place] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many contexts and outcomes there were, by what they came to, and every fault by its kind."""

    contexts: int
    outcomes: int
    statuses: Mapping[str, int]
    faults: Mapping[str, tuple[str, ...]]

    @property
    def holds(self) -> bool:
        """Whether there was something to judge, and nothing was wrong with it."""
        return self.contexts > 0 and not self.faults

    def __str__(self) -> str:
        wrong = [f"{kind} ({len(each)}): {', '.join(each[:5])}" for kind, each in self.faults.items()]
        return f"contexts {self.contexts}, outcomes {self.outcomes}, {dict(self.statuses)}; " + ("; ".join(wrong) or "holds")


def judge(logs: Logs) -> Verdict:
    """The verdict on these logs."""
    court = _Court(logs)
    for record in logs.decisions:
        court.hear_decision(record)
    for record in logs.dead_letters:
        court.hear_dead_letter(record)
    hops = court.hear_hops()
    court.count_outcomes()
    court.compare_marks(hops)
    for place in logs.open_places:
        court.blame(OPEN, f"{place[0]}/{place[1]}")
    faults = {kind: tuple(each) for kind, each in court.faults.items()}
    return Verdict(len(logs.contexts), court.outcomes.total(), dict(sorted(court.statuses.items())), faults)


class _Court:
    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._contexts = {record.source: record for record in logs.contexts}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.outcomes: Counter[Source] = Counter()
        self.statuses: Counter[str] = Counter()
        self._newest: dict[tuple[int, bytes | None, str, int], int] = {}
        self._decided: dict[tuple[str, str, str], Source] = {}

    def blame(self, kind: str, example: str) -> None:
        self.faults[kind].append(example)

    def hear_decision(self, record: Record) -> None:
        if (src := self._cause(record)) is None:
            return
        self.outcomes[src] += 1
        try:
            decision = Decision.from_bytes(record.value)
        except ValueError as error:
            self.blame(MALFORMED, f"{record.source}: {error}"[:300])
            return
        self.statuses[decision.status.value] += 1
        self._check_subject(record, src, decision)
        self._check_order(record, src, decision)
        self._check_time(record, decision)
        first = self._decided.setdefault((decision.bot_id, decision.symbol, decision.context_id), src)
        if first != src and first.partition == src.partition:
            self.blame(ID_TWICE, f"{decision.context_id}: {first} and {src}")

    def hear_dead_letter(self, record: Record) -> None:
        if (src := self._cause(record)) is None:
            return
        self.outcomes[src] += 1
        reason = header_text(record.headers, REASON) or ""
        self.statuses[f"dead:{reason}"] += 1
        if reason not in {each.value for each in Reason}:
            self.blame(MALFORMED, f"{record.source}: reason {reason!r}")
        came = self._contexts[src].value
        if record.key is not None and record.tombstone != self._contexts[src].tombstone:
            self.blame(SWAPPED, f"{record.source}: null and empty are not the same")
        if record.value != came[: len(record.value)] or (len(record.value) < len(came) and len(came) <= 256 * 1024):
            self.blame(SWAPPED, f"{record.source} is not what {src} brought")

    def hear_hops(self) -> dict[Source, list[tuple[Record, int]]]:
        """The tagged records of each context, each with how many attempts lie behind it."""
        hops: dict[Source, list[tuple[Record, int]]] = defaultdict(list)
        for record in self._logs.hops:
            if (src := self._cause(record)) is None:
                continue
            try:
                attempts = len(Tag.from_bytes((header_text(record.headers, ROUTE) or "").encode()).route.attempts)
            except ValueError as error:
                self.blame(MALFORMED, f"{record.source}: {error}"[:300])
                continue
            if record.value != self._contexts[src].value:
                self.blame(SWAPPED, f"{record.source} is not what {src} brought")
            if any(attempts == other for _, other in hops[src]):
                self.blame(TWICE, f"{src} was handed on twice after {attempts} attempts")
            hops[src].append((record, attempts))
        return hops

    def count_outcomes(self) -> None:
        for src, count in self.outcomes.items():
            if count > 1:
                self.blame(TWICE, f"{src}: {count}")
        sent = self._contexts if self._logs.acknowledged is None else self._logs.acknowledged
        for src in sent:
            if src not in self.outcomes:
                self.blame(LOST, str(src))

    def compare_marks(self, hops: Mapping[Source, list[tuple[Record, int]]]) -> None:
        """Each committed offset and bitmap must say exactly what has an output."""
        for src in self._contexts:
            self._compare(src, done=src in hops or src in self.outcomes)
        for src, each in hops.items():
            last = max(attempts for _, attempts in each)
            for record, attempts in each:
                self._compare(record.source, done=attempts < last or src in self.outcomes)

    def _compare(self, at: Source, done: bool) -> None:
        mark = self._logs.marks.get((at.topic, at.partition))
        if mark is None:
            return
        finished = at.offset < mark.offset or at.offset in mark.ahead
        if finished and not done:
            self.blame(MARK_AHEAD, str(at))
        if done and not finished:
            self.blame(MARK_BEHIND, str(at))

    def _cause(self, record: Record) -> Source | None:
        try:
            src = Source.parse(header_text(record.headers, SRC) or "")
        except ValueError as error:
            self.blame(PHANTOM, f"{record.source}: {error}")
            return None
        if src not in self._contexts:
            self.blame(PHANTOM, f"{record.source}: {src}")
            return None
        return src

    def _check_subject(self, record: Record, src: Source, decision: Decision) -> None:
        """The key is the context's, and `experiment`, which a feed fills with something of its own, came through."""
        context = self._contexts[src]
        told = decision.experiment is None or f'"{decision.experiment}"'.encode() in context.value
        if (context.key is not None and record.key != context.key) or decision.bot_id.encode() not in context.value or not told:
            self.blame(SWAPPED, f"{record.source} answers {src} as {decision.bot_id} {decision.symbol} {decision.experiment}")

    def _check_order(self, record: Record, src: Source, decision: Decision) -> None:
        first_attempt = len(decision.route.attempts) <= 1
        if decision.status not in BY_A_MODEL or decision.model is None or not first_attempt or self._contexts[src].key is None:
            return
        line = (record.source.partition, record.key, decision.model.name, src.partition)
        if self._newest.get(line, -1) > src.offset:
            self.blame(MISORDERED, f"{src} after offset {self._newest[line]}")
        self._newest[line] = max(self._newest.get(line, -1), src.offset)

    def _check_time(self, record: Record, decision: Decision) -> None:
        if decision.acts and decision.valid_until is not None and record.timestamp_ms > parse_rfc3339(decision.valid_until):
            self.blame(LATE, f"{record.source} at {record.timestamp_ms}")
