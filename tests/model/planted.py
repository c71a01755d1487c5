"""Known mistakes, each put into the model by a patch: what the machine is worth is which of them it finds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from backbone import progress as bitmap
from backbone.lane_state import MARK_ONLY, LaneState, Write
from backbone.order import KeyOrder
from backbone.outbox import Outbox
from backbone.progress import Mark, Progress
from deciders.dedupe import Dedupe, Name, Seen
from schemas.record import Record
from schemas.result import Result
from tests.model.owner import Owner

Plant = Callable[[pytest.MonkeyPatch], None]


def one_transactional_id_a_process(patch: pytest.MonkeyPatch) -> None:
    """The usual way: nobody is fenced when a partition moves."""
    patch.setattr(Owner, "transactional_id", property(lambda owner: owner.name))


def the_offset_read_before_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Between the two, the owner of before can still commit."""
    patch.setattr(Owner, "CLAIM", (Owner.look, Owner.fence))


def the_producer_kept_after_a_doubtful_commit(patch: pytest.MonkeyPatch) -> None:
    """What was not answered counts as not written, and is written again by the same producer."""

    def doubt(owner: Owner) -> None:
        unanswered, owner.transaction = owner.transaction, None
        assert unanswered is not None and owner.state is not None
        if unanswered.write.results:
            owner.state.refused(unanswered.write, owner.broker.now_ms)
        else:
            unanswered.committed()

    patch.setattr(Owner, "doubt", doubt)


def auto_commit(patch: pytest.MonkeyPatch) -> None:
    """The consumer commits its own position as it reads."""
    read = Owner.read

    def read_and_commit(owner: Owner, records_max: int) -> list[Record]:
        records = read(owner, records_max)
        owner.broker.committed = (owner.position, "")
        return records

    patch.setattr(Owner, "read", read_and_commit)


def send_futures_not_awaited(patch: pytest.MonkeyPatch) -> None:
    """The commit goes through although a send failed."""
    patch.setattr(Owner, "send_failed", lambda owner: None)


def the_bitmap_not_written(patch: pytest.MonkeyPatch) -> None:
    """Only the lowest unfinished offset is committed."""
    patch.setattr(Mark, "metadata", lambda mark: f"b1:{mark.claims}:")


def a_result_published_before_an_earlier_one_of_its_key(patch: pytest.MonkeyPatch) -> None:
    """Whatever is finished goes out."""

    def finish(order: KeyOrder[Any], key: bytes, offset: int, result: Any) -> list[Any]:
        return [result, *order.leave(key, offset)]

    patch.setattr(KeyOrder, "finish", finish)


def a_watermark_that_waits_for_markers(patch: pytest.MonkeyPatch) -> None:
    """It stands at the first offset for which no outcome came, delivered or not."""
    deliver, pass_by, mark = Progress.deliver, Progress.pass_by, Progress.mark

    def wait_for(progress: Progress, position: int) -> set[int]:
        missing: set[int] = progress.__dict__.setdefault("missing", set())
        missing.update(each for each in range(progress.position, position) if each not in progress._ahead)
        return missing

    def deliver_waiting(progress: Progress, offset: int) -> bool:
        wait_for(progress, offset)
        return deliver(progress, offset)

    def pass_by_waiting(progress: Progress, position: int) -> None:
        wait_for(progress, position)
        pass_by(progress, position)

    def mark_waiting(progress: Progress, finishing: Collection[int] = (), claims: int = 0) -> Mark:
        made, missing = mark(progress, finishing, claims), wait_for(progress, 0)
        offset = min(missing | {made.offset})
        done = set(range(offset, progress.position)) - missing - (progress._open.keys() - set(finishing))
        return Mark(offset, frozenset(each for each in done | made.ahead if 0 < each - offset <= bitmap.WINDOW_OFFSETS), claims)

    patch.setattr(Progress, "deliver", deliver_waiting)
    patch.setattr(Progress, "pass_by", pass_by_waiting)
    patch.setattr(Progress, "mark", mark_waiting)


def no_committed_offset_taken_as_earliest(patch: pytest.MonkeyPatch) -> None:
    """History is decided again."""

    def from_the_start(owner: Owner) -> bool:
        owner.mark = Mark(0)
        return True

    patch.setattr(Owner, "nothing_committed", from_the_start)


def its_own_record_taken_for_a_repeat(patch: pytest.MonkeyPatch) -> None:
    """A name that is known is a repeat, whichever record brought it; nothing is forgotten when the lane is claimed again."""
    take = Dedupe.take

    def take_known(dedupe: Dedupe, name: Name, offset: int, content_digest: str) -> Seen:
        known = name.folded() in dedupe._names
        return Seen.REPEATED if known else take(dedupe, name, offset, content_digest)

    patch.setattr(Dedupe, "take", take_known)
    patch.setattr(Dedupe, "forget_from", lambda dedupe, offset: None)


def a_mark_that_stands_on_what_is_finished(patch: pytest.MonkeyPatch) -> None:
    """The bitmap has no bit for the mark's own offset."""
    patch.setattr(Progress, "_beyond", property(lambda progress: progress.position))


def an_answer_that_expires_only_once_its_key_goes_on(patch: pytest.MonkeyPatch) -> None:
    """What stands behind an answer that waits is not looked at."""
    look = Outbox._look

    def look_behind(outbox: Outbox, result: Result, log_ms: int) -> Result | None:
        if result.ordered and (result.record.key or b"") in outbox._waiting_keys:
            outbox._waiting.append(result)
            return None
        return look(outbox, result, log_ms)

    patch.setattr(Outbox, "_look", look_behind)


def an_answer_put_back_behind_the_later_one_of_its_key(patch: pytest.MonkeyPatch) -> None:
    """What the log's clock refused lines up behind what waits already, in whatever order that is."""
    what_waited_put_before_what_is_ready(patch)

    def put_back(outbox: Outbox, results: Sequence[Result], log_ms: int) -> None:
        outbox._merge([looked for each in results if (looked := outbox._look(each, log_ms)) is not None])

    patch.setattr(Outbox, "put_back", put_back)


def what_waited_put_before_what_is_ready(patch: pytest.MonkeyPatch) -> None:
    """As if what waits were always earlier."""
    patch.setattr(Outbox, "_merge", lambda outbox, results: outbox._ready.extendleft(reversed(list(results))))


def claims_forgotten_at_any_outcome(patch: pytest.MonkeyPatch) -> None:
    """A record that kills slowly is never counted up while others come."""
    written = LaneState.written

    def written_and_forgotten(state: LaneState, write: Write) -> None:
        written(state, write)
        state._claims = 0 if write.results else state._claims

    def mark(state: LaneState, write: Write = MARK_ONLY) -> Mark:
        return state._progress.mark(write.offsets, claims=0 if write.results else state._claims)

    patch.setattr(LaneState, "written", written_and_forgotten)
    patch.setattr(LaneState, "mark", mark)
