"""What must hold of the simulated logs after every step, and what once everything is healed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from backbone.lane_state import UNDECIDABLE_AFTER_CLAIMS, Limits
from backbone.progress import Mark
from schemas.headers import header_text
from schemas.record import Output, Record
from tests.model.broker import Broker, Written
from tests.model.owner import Owner
from tests.model.world import UNDECIDABLE, UNTIL_MS, World

FOR_EVER_MS = 1 << 60


def check_every_step(broker: Broker, world: World, seen: Sequence[Written]) -> None:
    """Once, order, atomic, no phantom, in time; `seen` is what a reader that ran all along has read."""
    outcomes = broker.outcomes
    twice = [src for src, count in Counter(each.src for each in outcomes).items() if count > 1]
    assert not twice, f"once: {twice} have more than one outcome"
    _check_marks(broker, outcomes)
    _check_order(outcomes)
    assert all(broker.input[each.src] is each.record for each in outcomes), "no phantom: an outcome without its cause"
    assert [id(each) for each in broker.visible[: len(seen)]] == [id(each) for each in seen], "no phantom: what was read is gone"
    late = [each.src for each in outcomes if each.output.value == b"DECIDED" and each.log_ms >= _until_ms(each.output)]
    assert not late, f"in time: {late} act after their time"
    for each in outcomes:
        if each.output.value == UNDECIDABLE.encode():
            asked = len(world.given[each.src])
            assert asked >= UNDECIDABLE_AFTER_CLAIMS, f"{each.src} was given up, and {asked} processes were given it"


def _check_marks(broker: Broker, outcomes: Sequence[Written]) -> None:
    if broker.committed is None:
        return
    mark = Mark.parse(*broker.committed)
    said = {offset for offset in _records(broker) if offset < mark.offset or offset in mark.ahead}
    done = {each.src for each in outcomes}
    assert said <= done, f"atomic: {sorted(said - done)} are committed as finished, without an outcome"
    assert done <= said, f"atomic: {sorted(done - said)} have an outcome, committed as unfinished"


def _check_order(outcomes: Sequence[Written]) -> None:
    newest: dict[bytes | None, int] = {}
    for each in outcomes:
        if each.ordered:
            before = newest.get(each.record.key, -1)
            assert before < each.src, f"order: {each.src} after {before}, of one key"
            newest[each.record.key] = each.src


def _until_ms(output: Output) -> int:
    return int(header_text(output.headers, UNTIL_MS) or FOR_EVER_MS)


def _records(broker: Broker) -> list[int]:
    return [offset for offset, record in enumerate(broker.input) if record is not None]


def check_bounded(owner: Owner, limits: Limits, read: Sequence[Record]) -> None:
    """After these were taken up: at most a batch, with the results it may have already, over the limits."""
    assert owner.state is not None
    results = [result for record in read if (result := owner.unwritten.get(record.source.offset)) is not None]
    batch_bytes = sum(len(record.value) for record in read) + sum(result.size_bytes for result in results)
    assert owner.state.held_bytes < limits.bytes_max + batch_bytes, f"bounded: {owner.state.held_bytes} bytes are held"
    assert owner.state.unfinished < limits.records_max + len(read), f"bounded: {owner.state.unfinished} records are held"


def check_nothing_overdue(owner: Owner) -> None:
    """After a tick and its writes: what was over by then has gone out as what it still may be."""
    over = [offset for offset, each in owner.unwritten.items() if _until_ms(each.outputs[0]) <= owner.now_ms]
    assert not over, f"in time: {over} are over, and still held back"


def is_healed(broker: Broker) -> bool:
    """Whether nothing is left to be done."""
    assert broker.committed is not None
    return broker.committed[0] == len(broker.input) and len(broker.outcomes) == len(_records(broker))


def check_healed(broker: Broker, owner: Owner) -> None:
    """Complete: everything has its outcome, the mark stands at the log's end, and nothing is left in memory."""
    assert broker.committed is not None and owner.state is not None
    lost = set(_records(broker)) - {each.src for each in broker.outcomes}
    assert not lost, f"complete: {sorted(lost)} have no outcome"
    mark = Mark.parse(*broker.committed)
    assert (mark.offset, mark.ahead, mark.claims) == (len(broker.input), frozenset(), 0), f"complete: the mark stands at {mark}"
    assert (owner.state.unfinished, owner.state.held_bytes) == (0, 0), "complete: something is still held"
    assert not owner.state.holds_back and not owner.state.ready, "complete: something waits for ever"
