"""What a run came to, judged from its logs and offsets alone: every context, exactly one outcome. Pure.

It knows nothing of how the run was made. Of what it judges it shares the messages (`schemas`) and how a mark is written
(`backbone/progress.py`), and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from schemas.record import Record
from schemas.source import Source
from schemas.topic import Side
from trading_llm.case import case_faults, repeat_faults
from trading_llm.court import Court
from trading_llm.docket import Docket
from trading_llm.fault import LOST, PHANTOM, REWRITTEN, Blame, Found
from trading_llm.prefix import rewritten
from trading_llm.standing import Offsets, Standing

NOTHING_STANDS = Offsets()


@dataclass(frozen=True, slots=True)
class Logs:
    """Everything that a run left behind: the committed records of each topic, and where lanes and logs stand.

    `notices`: of `control` and `models.status`. `seen`: what a reader saw that ran all along. `acknowledged`: the contexts
    whose send returned; each must be in the log, and whatever is in the log must have its outcome. `side`: whose they are.
    """

    contexts: tuple[Record, ...]
    hops: tuple[Record, ...]
    decisions: tuple[Record, ...]
    dead_letters: tuple[Record, ...]
    notices: tuple[Record, ...] = ()
    seen: tuple[Record, ...] = ()
    acknowledged: Collection[Source] = ()
    offsets: Offsets = NOTHING_STANDS
    side: Side = Side.LIVE

    @property
    def outputs(self) -> tuple[Record, ...]:
        """All but the contexts."""
        return (*self.hops, *self.decisions, *self.dead_letters, *self.notices)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many contexts and outcomes there were, by what they came to, and every fault by its kind.

    `counted`: for each invariant, by its id, what it was judged on. `later`: outputs of contexts that came after those judged;
    `gone`: contexts whose outcome may have been deleted, so that nothing is said of them.
    """

    contexts: int
    outcomes: int
    later: int
    gone: int
    statuses: Mapping[str, int]
    faults: Mapping[str, Found]
    counted: Mapping[str, str]

    @property
    def holds(self) -> bool:
        """Whether there was something to judge, and nothing was wrong with it."""
        return self.contexts > self.gone and not self.faults

    def __str__(self) -> str:
        wrong = [f"{kind} ({found.count}): {', '.join(found.examples[:5])}" for kind, found in self.faults.items()]
        return f"contexts {self.contexts}, outcomes {self.outcomes}, {dict(self.statuses)}; " + ("; ".join(wrong) or "holds")


def judge(logs: Logs) -> Verdict:
    """The verdict on these logs."""
    docket = Docket()
    for record in logs.contexts:
        docket.enter(record)
    court = Court(docket, logs.offsets.starts, side=logs.side)
    for record in logs.outputs:
        court.hear(record)
    for src in logs.acknowledged:
        if src not in docket:
            court.faults.blame(LOST, f"{src} was acknowledged and is not in the log")
    for example in rewritten(logs.seen, (*logs.contexts, *logs.outputs), logs.offsets.starts):
        court.faults.blame(REWRITTEN, example)
    return reach(court, logs.offsets)


def reach(court: Court, offsets: Offsets) -> Verdict:
    """The verdict once everything was heard. Of a court, once: it notes what it finds in the court's faults."""
    standing = Standing(offsets)
    court.faults.take(standing.lane_faults())
    court.faults.take(_beyond(court, offsets))
    gone = 0
    for src, case in court.docket.cases():
        court.faults.take(case_faults(src, case, lambda topic, logged_ms: _is_whole(offsets, topic, logged_ms)))
        if case.outcomes or case.context.logged_ms > outcomes_gone_ms(offsets.gone_ms, court.side):
            court.faults.take(standing.case_faults(src, case))
        else:
            gone += 1
    for named in court.docket.repeated():
        from_start = not offsets.starts.get((named[0][0].topic, named[0][0].partition), 0)
        court.faults.take(repeat_faults(named, from_start))
    return Verdict(
        contexts=len(court.docket),
        outcomes=court.statuses.total(),
        later=court.counts["later"],
        gone=gone,
        statuses=dict(sorted(court.statuses.items())),
        faults=court.faults,
        counted=_counted(court, standing, offsets),
    )


def outcomes_gone_ms(gone_ms: Mapping[str, int], side: Side) -> int:
    """A context logged up to then may have had an outcome that was deleted."""
    return max(gone_ms.get(side.decisions, -1), gone_ms.get(side.dead_letters, -1))


def _is_whole(offsets: Offsets, topic: str, logged_ms: int) -> bool:
    read = offsets.models is None or topic in {Side.of(topic).waiting(model) for model in offsets.models}
    return read and logged_ms > offsets.gone_ms.get(topic, -1)


def _beyond(court: Court, offsets: Offsets) -> Iterator[Blame]:
    """Outputs of contexts that are not even in the log by now."""
    for place, (offset, at) in court.later.items():
        if offset >= offsets.ends.get(place, offset + 1):
            yield PHANTOM, f"{at} of {place[0]}/{place[1]}/{offset}, and the log ends at {offsets.ends[place]}"


def _counted(court: Court, standing: Standing, offsets: Offsets) -> dict[str, str]:
    """What each invariant was judged on, for people."""
    docket, outcomes, hops = court.docket, court.statuses.total(), court.counts["hops"]
    return {
        "V1": f"{len(docket)} contexts, {len(docket) - len(court.unanswered)} with an outcome",
        "V2": f"{outcomes} outcomes and {hops} hops of {len(docket)} contexts, {docket.names} ids",
        "V3": f"{court.counts['ordered']} decisions that a model gave at the first attempt",
        "V4": f"{standing.compared} records against the marks of {standing.lanes} lanes",
        "V5": f"{outcomes + hops} outputs beside their contexts",
        "V6": f"{standing.lanes} lanes, {len(offsets.ends)} partitions",
        "V7": f"{len(docket) + court.counts['records']} records",
        "P5": f"{court.counts['acting']} decisions that act",
    }
