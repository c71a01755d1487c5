"""What a lane has finished and not yet written, and which of it may go out at what log time. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from backbone.order import KeyOrder
from schemas.record import Record
from schemas.result import Result


class Outbox:
    """The results of one claim of a lane, from `finish` until they are taken to be written.

    Three places: *held*, behind an earlier record of their key that has no result yet; *waiting*, because nobody knows yet
    whether they may go out, or behind one that waits; *ready*, for the next transaction.
    """

    def __init__(self) -> None:
        self._held: KeyOrder[Result] = KeyOrder()
        self._ready: deque[Result] = deque()
        self._waiting: list[Result] = []
        self._waiting_keys: set[bytes] = set()

    @property
    def ready(self) -> bool:
        """Whether there is something for the next transaction."""
        return bool(self._ready)

    @property
    def holds_back(self) -> bool:
        """Whether results must be looked at again as time passes."""
        return bool(self._waiting or len(self._held))

    def expect(self, record: Record) -> None:
        """This record was delivered and will have its result."""
        self._held.deliver(_key(record), record.source.offset)

    def finish(self, result: Result) -> None:
        """This record has its result, which goes out as soon as it may."""
        key, offset = _key(result.record), result.record.source.offset
        if result.ordered:
            self._ready.extend(self._held.finish(key, offset, result))
        else:
            self._ready.append(result)
            self._ready.extend(self._held.leave(key, offset))

    def take(self, log_ms: int, results_max: int, bytes_max: int) -> list[Result]:
        """What may go out now, in one transaction; at most so many results, of so many bytes and one result more."""
        out: list[Result] = []
        size_bytes = 0
        while self._ready and size_bytes < bytes_max and len(out) < results_max:
            if (may_go := self._look(self._ready.popleft(), log_ms)) is not None:
                out.append(may_go)
                size_bytes += may_go.size_bytes
        return out

    def put_back(self, results: Sequence[Result], log_ms: int) -> None:
        """By the log's clock one of these may not go out as it is: it is turned by that clock, and all go again."""
        again = sorted([*results, *self._take_waiting()], key=_offset)
        self._merge([looked for each in again if (looked := self._look(each, log_ms)) is not None])

    def look_again(self, log_ms: int) -> None:
        """What waited too long for an earlier record of its key goes out by itself, turned into what it may still be."""
        self._merge(self._take_waiting())
        for offset, held in self._held.held():
            turned = held if held.again is None else held.again(log_ms)
            if turned is None or turned is held:
                continue
            if turned.ordered:  # another halt, and still a model's answer: it keeps its place
                self._held.replace(offset, turned)
            else:
                self._ready.append(turned)
                self._ready.extend(self._held.leave(_key(held.record), offset))

    def _look(self, result: Result, log_ms: int) -> Result | None:
        """What of this result may go out at this log time; None, and it waits, where that is not known yet.

        Behind an answer that waits, the later ones of its key wait too, for as long as they are a model's answer.
        """
        may_go = result if result.again is None else result.again(log_ms)
        if may_go is not None and not (may_go.ordered and _key(result.record) in self._waiting_keys):
            return may_go
        self._waiting.append(result)
        self._waiting_keys.add(_key(result.record))
        return None

    def _take_waiting(self) -> list[Result]:
        waiting, self._waiting = self._waiting, []
        self._waiting_keys.clear()
        return waiting

    def _merge(self, results: Iterable[Result]) -> None:
        """Into what is ready, all in the log's order: either side may hold the earlier answer of a key."""
        self._ready = deque(sorted([*results, *self._ready], key=_offset))


def _key(record: Record) -> bytes:
    return record.key or b""


def _offset(result: Result) -> int:
    return result.record.source.offset
