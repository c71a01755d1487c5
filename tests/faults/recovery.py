"""How long a lane wrote nothing after a fault, by the log's own clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from datetime import time as dt_time
from itertools import pairwise

from schemas.headers import SRC, header_text
from schemas.record import Record
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS, model_topic
from tests.support.processes import Running
from tests.support.watch import Watch

Place = tuple[str, int]
Passages = Mapping[Place, Sequence[tuple[int, int]]]  # of each lane's records: when one came, and when what it led to was written
AT_ONCE_MS = 500  # a lane to which nothing came for longer had nothing to write


def passages(watch: Watch, models: Sequence[str]) -> Passages:
    """Every record of every lane that led to something, with both log times, epoch ms."""
    steps: dict[str, list[Record]] = defaultdict(list)
    for topic in (*map(model_topic, models), DECISIONS, DEAD_LETTERS):
        for record in watch.of(topic):
            steps[header_text(record.headers, SRC) or ""].append(record)
    found: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for context in watch.of(CONTEXTS):
        way = [context, *sorted(steps[str(context.source)], key=lambda record: record.timestamp_ms)]
        for came, left in pairwise(way):
            found[came.source.topic, came.source.partition].append((came.timestamp_ms, left.timestamp_ms))
    return found


def recoveries_s(found: Passages, lanes: Iterable[Place], struck_ms: float) -> list[float]:
    """For each of these lanes that had something to do then: seconds until it wrote again."""
    out = []
    for lane in lanes:
        after = [(came, left) for came, left in found.get(lane, ()) if left > struck_ms]
        if any(came < struck_ms + AT_ONCE_MS for came, _ in after):
            out.append((min(left for _, left in after) - struck_ms) / 1000)
    return out


def lanes_of(process: Running) -> set[Place]:
    """The lanes that this process has claimed in its life, by what it says itself."""
    return {place for _, place in _claims(process)}


def owned(processes: Iterable[Running], victim: Running, struck_ms: float) -> set[Place]:
    """The lanes that were this process's then: whoever claims last has a lane. `processes`: in the order of their starts."""
    day = datetime.fromtimestamp(struck_ms / 1000, UTC).astimezone()
    last: dict[Place, tuple[float, int]] = {}
    for process in processes:
        for clock, place in _claims(process):
            at_ms = datetime.combine(day.date(), clock, day.tzinfo).timestamp() * 1000
            if at_ms <= struck_ms:
                # Of two lives that share a log, the claim is the later one's: the first of equals is what `max` answers.
                last[place] = max((at_ms, process.pid), last.get(place, (at_ms, process.pid)), key=lambda claim: claim[0])
    return {place for place, (_, pid) in last.items() if pid == victim.pid}


def _claims(process: Running) -> list[tuple[dt_time, Place]]:
    found = []
    for line in process.said().splitlines():
        if "lane.claimed " in line:
            facts = dict(fact.split("=", 1) for fact in line.split("lane.claimed ")[1].split())
            found.append((dt_time.fromisoformat(line.split()[0]), (facts["topic"], int(facts["partition"]))))
    return found


def every_lane(models: Sequence[str]) -> list[Place]:
    """All lanes of a pipeline."""
    return [(CONTEXTS, n) for n in range(8)] + [(model_topic(model), n) for model in models for n in range(4)]
