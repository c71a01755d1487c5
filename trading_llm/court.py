"""Hears every output of a run, each beside the context that caused it, and notes what is wrong with it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from schemas.canonical import parse_rfc3339
from schemas.decision import Decision, Status, failed_of
from schemas.headers import REASON, ROUTE, SRC, header, header_text
from schemas.record import Record
from schemas.route import Tag
from schemas.source import Source
from schemas.topic import CONTROL, MODELS_STATUS, Side
from trading_llm.case import Case
from trading_llm.docket import Docket
from trading_llm.evidence import UNREADABLE, Hop, Outcome, of_decision, of_letter, trail_of
from trading_llm.fault import EARLY, LATE, MALFORMED, MISORDERED, PHANTOM, SCATTERED, SWAPPED, Faults
from trading_llm.likeness import decision_differs, hop_differs, letter_differs
from trading_llm.standing import Place
from trading_llm.strict import HOP, decision_flaws, header_flaws, letter_flaws, notice_flaw, told

# Who finds a time over looks at his own clock; the log's, which judges here, may be behind it.
CLOCKS_APART_MS_MAX = 1_000
BY_A_MODEL = frozenset({Status.DECIDED, Status.ABSTAINED_LOW_CONFIDENCE, Status.BLOCKED_BY_RISK})


class Court:
    """Hears every output once, in the order of its partition, and keeps digests; the docket must be complete before.

    `starts`: where the logs start. `ends`: where of `contexts` the docket ends; outputs of later ones are passed over.
    `side`: the half of the pipeline that is judged.
    """

    def __init__(
        self, docket: Docket, starts: Mapping[Place, int], ends: Mapping[Place, int] | None = None, side: Side = Side.LIVE
    ) -> None:
        self.docket, self._starts, self._ends, self.side = docket, starts, ends or {}, side
        self.faults = Faults()
        self.unanswered = {src for src, _ in docket.cases()}
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.later: dict[Place, tuple[int, Source]] = {}  # of the outputs passed over, whose context lies furthest
        self._newest: dict[tuple[int, bytes, str, int], int] = {}
        self._partitions: dict[tuple[str, bytes], int] = {}

    def awaits(self, gone_ms: int) -> bool:
        """Whether a context that was logged after this moment has no outcome yet."""
        return any(self.docket[src].context.logged_ms > gone_ms for src in self.unanswered)

    def hear(self, record: Record) -> None:
        """Take in one output, or a record of `control` or `models.status`."""
        self.counts["records"] += 1
        if record.source.topic in (CONTROL, MODELS_STATUS):
            if flaw := notice_flaw(record):
                self.faults.blame(MALFORMED, f"{record.source}: {flaw}")
        elif record.source.topic == self.side.decisions:
            self._hear_decision(record)
        elif record.source.topic == self.side.dead_letters:
            self._hear_dead_letter(record)
        else:
            self._hear_hop(record)

    def _hear_decision(self, record: Record) -> None:
        try:
            decision = Decision.from_bytes(record.value)
            over_ms = None if decision.valid_until is None else parse_rfc3339(decision.valid_until)
        except ValueError as error:
            self.faults.blame(MALFORMED, f"{record.source}: {told(error)}")
            if (caused := self._cause(record)) is not None:
                self._end(*caused, Outcome(record.source, UNREADABLE))
            return
        self._blame_all(MALFORMED, record, decision_flaws(record, decision))
        if (caused := self._cause(record)) is None:
            return
        src, case = caused
        outcome = of_decision(record, decision)
        self._end(src, case, outcome)
        self._check_place(record)
        if case.context.refusal is None:
            self._blame_all(SWAPPED, record, decision_differs(record, decision, case.context))
        self._check_order(record, src, case, outcome)
        self.counts["acting"] += decision.acts
        self._check_time(record, src, over_ms, acts=decision.acts, expired=decision.status is Status.EXPIRED)

    def _hear_dead_letter(self, record: Record) -> None:
        self._blame_all(MALFORMED, record, letter_flaws(record))
        if (caused := self._cause(record)) is None:
            return
        src, case = caused
        self._end(src, case, of_letter(record))
        self._blame_all(SWAPPED, record, letter_differs(record, header_text(record.headers, REASON), case.context))

    def _hear_hop(self, record: Record) -> None:
        self._blame_all(MALFORMED, record, header_flaws(record, HOP))
        try:
            tag = Tag.from_bytes(header(record.headers, ROUTE) or b"")
            failed_of(record)
        except ValueError as error:
            self.faults.blame(MALFORMED, f"{record.source}: {told(error)}")
            return
        if (caused := self._cause(record)) is None:
            return
        _, case = caused
        self._check_place(record)
        self.counts["hops"] += 1
        case.hops = (*case.hops, Hop(record.source, trail_of(tag.route.attempts)))
        if case.context.refusal is None:
            self._blame_all(SWAPPED, record, hop_differs(record, tag, case.context))

    def _cause(self, record: Record) -> tuple[Source, Case] | None:
        """The case that this output belongs to. None where it is not judged, or is a phantom."""
        try:
            src = Source.parse(header_text(record.headers, SRC) or "")
        except ValueError as error:
            self.faults.blame(PHANTOM, f"{record.source}: {error}")
            return None
        place = src.topic, src.partition
        if src in self.docket:
            return src, self.docket[src]
        if src.topic == self.side.contexts and src.offset >= self._ends.get(place, src.offset + 1):
            self.counts["later"] += 1
            self.later[place] = max(self.later.get(place, (src.offset, record.source)), (src.offset, record.source))
        elif src.topic != self.side.contexts or src.offset >= self._starts.get(place, 0):
            self.faults.blame(PHANTOM, f"{record.source} of {src}, which is not in the log")
        return None

    def _end(self, src: Source, case: Case, outcome: Outcome) -> None:
        case.outcomes = (*case.outcomes, outcome)
        self.statuses[outcome.status] += 1
        self.unanswered.discard(src)

    def _blame_all(self, kind: str, record: Record, flaws: Iterator[str]) -> None:
        for flaw in flaws:
            self.faults.blame(kind, f"{record.source} {flaw}")

    def _check_time(self, record: Record, src: Source, over_ms: int | None, *, acts: bool, expired: bool) -> None:
        if over_ms is None or self.side is Side.REPLAYS:  # a replay's time was over before it began
            return
        said = f"{record.source}: {src} is over at {over_ms}, and this was logged at {record.timestamp_ms}"
        if acts and record.timestamp_ms >= over_ms:
            self.faults.blame(LATE, said)
        if expired and record.timestamp_ms < over_ms - CLOCKS_APART_MS_MAX:
            self.faults.blame(EARLY, said)

    def _check_place(self, record: Record) -> None:
        at = record.source
        if record.key and self._partitions.setdefault((at.topic, record.key), at.partition) != at.partition:
            self.faults.blame(SCATTERED, f"{at} has the key of partition {self._partitions[at.topic, record.key]}")

    def _check_order(self, record: Record, src: Source, case: Case, outcome: Outcome) -> None:
        first_attempt = len(outcome.trail or ()) <= 1
        if outcome.status not in BY_A_MODEL or outcome.model is None or not first_attempt or not case.context.key:
            return
        self.counts["ordered"] += 1
        line = (record.source.partition, case.context.key, outcome.model, src.partition)
        newest = self._newest.get(line, -1)
        if newest > src.offset:
            self.faults.blame(MISORDERED, f"{src} after offset {newest}")
        self._newest[line] = max(newest, src.offset)
