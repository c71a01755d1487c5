"""What the groups have committed, against what has an output: each mark must say exactly that. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from backbone.progress import Mark
from schemas.source import Source
from trading_llm.case import Case
from trading_llm.fault import LOST, MARK_AHEAD, MARK_BEHIND, OPEN, STUCK, UNFINISHED, WAITING, Blame

Place = tuple[str, int]  # topic, partition
Committed = tuple[int, str]  # offset and metadata, as a group commits them; -1 where it never did


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where the lanes and the logs stand. What is not given is not judged.

    `committed` was read before the last of the outputs, `committed_later` after it (None: nothing moved in between): what the
    first says is finished must have its output, and what has an output the second must say is finished. `starts`, `ends`: of
    the logs, markers included. `open_places`: where the last stable offset does not come up to the end. `gone_ms`: what was
    logged in this topic up to then may have been deleted. `models`: those whose topics were read; None for all.
    """

    committed: Mapping[Place, Committed] = field(default_factory=dict)
    committed_later: Mapping[Place, Committed] | None = None
    starts: Mapping[Place, int] = field(default_factory=dict)
    ends: Mapping[Place, int] = field(default_factory=dict)
    open_places: Collection[Place] = ()
    gone_ms: Mapping[str, int] = field(default_factory=dict)
    models: Collection[str] | None = None


class Standing:
    """The marks of all lanes, read once before and once after the last outputs."""

    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets
        self._unreadable: dict[Place, str] = {}
        later = offsets.committed if offsets.committed_later is None else offsets.committed_later
        self._before, self._after = self._marks(offsets.committed), self._marks(later)
        self.compared = 0

    @property
    def lanes(self) -> int:
        """How many lanes have a mark that can be read."""
        return len(self._after)

    def _marks(self, committed: Mapping[Place, Committed]) -> dict[Place, Mark]:
        found: dict[Place, Mark] = {}
        for place, (offset, metadata) in committed.items():
            try:
                if offset >= 0:
                    found[place] = Mark.parse(offset, metadata)
            except ValueError as error:
                self._unreadable[place] = str(error)
        return found

    def lane_faults(self) -> Iterator[Blame]:
        """What is wrong with the lanes themselves, whatever was read in them."""
        for topic, partition in self._offsets.open_places:
            yield OPEN, f"{topic}/{partition}"
        for (topic, partition), why in self._unreadable.items():
            yield STUCK, f"{topic}/{partition}: {why}"
        for place, (offset, _) in self._offsets.committed.items():
            if offset < 0:
                yield STUCK, f"{place[0]}/{place[1]}: nothing is committed"
        for place, mark in self._after.items():
            start, end = self._offsets.starts.get(place, 0), self._offsets.ends.get(place)
            highest = max(mark.ahead, default=mark.offset - 1)
            if mark.offset < start:
                yield STUCK, f"{place[0]}/{place[1]} stands at {mark.offset}; its log starts at {start}"
            if end is not None and max(mark.offset - 1, highest) >= end:
                yield MARK_AHEAD, f"{place[0]}/{place[1]}: {max(mark.offset - 1, highest)} is finished; its log ends at {end}"

    def case_faults(self, src: Source, case: Case) -> Iterator[Blame]:
        """What is wrong with the marks of every lane that this context went through, and where it still waits."""
        ended = bool(case.outcomes)
        furthest = max((len(hop.trail) for hop in case.hops), default=0)
        lanes = [(src, ended or bool(case.hops)), *((hop.at, ended or len(hop.trail) < furthest) for hop in case.hops)]
        waits = [at for at, done in lanes if not done and self._finished(at, self._before) is False]
        for at, done in lanes:
            self.compared += 1
            if done and self._finished(at, self._after) is False:
                yield MARK_BEHIND, str(at)
            if not done and self._finished(at, self._before):
                yield MARK_AHEAD, str(at)
        for at in waits:
            yield UNFINISHED, str(at)
        if not ended:
            yield (WAITING, f"{src} in {waits[0]}") if waits else (LOST, str(src))

    def _finished(self, at: Source, marks: Mapping[Place, Mark]) -> bool | None:
        """Whether the mark of its lane says that this record is finished; None where there is no mark."""
        mark = marks.get((at.topic, at.partition))
        return None if mark is None else at.offset < mark.offset or at.offset in mark.ahead
