"""Who waits for which outcome: a map of sources and names to futures, beside the outcomes that came already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.intake import Ids
from gateway.outcome import Answered, Outcome
from gateway.seen import Seen
from schemas.source import Source

WAITING_MAX = 1_000  # requests at once; beyond it the caller is told to come back


class Full(Exception):
    """As many requests wait as may; come back in a second."""


class Pending:
    """The requests that wait, and what came. An outcome may come before its request knows its own source."""

    def __init__(self, seen: Seen, waiting_max: int = WAITING_MAX) -> None:
        self._seen, self._waiting_max = seen, waiting_max
        self._waiting: dict[Source | Ids, set[asyncio.Future[Outcome]]] = {}
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request, from before it is written to its answer. Raises Full."""
        if self.taken >= self._waiting_max:
            raise Full
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    def came(self, outcome: Outcome) -> None:
        """Remember an outcome, and wake who waits for it."""
        self._seen.add(outcome)
        keys: list[Source | Ids] = [outcome.src]
        if isinstance(outcome, Answered):
            keys.append(outcome.ids)
        for key in keys:
            for future in self._waiting.pop(key, ()):
                if not future.done():
                    future.set_result(outcome)

    def named(self, ids: Ids) -> Answered | None:
        """The decision of this bot, symbol and context_id, if it came."""
        return self._seen.named(ids)

    async def outcome(self, key: Source | Ids, wait_s: float) -> Outcome | None:
        """The outcome of a record, or the decision of a name: at once if it came, else when it comes. None after `wait_s`."""
        came = self._seen.of(key) if isinstance(key, Source) else self._seen.named(key)
        if came is not None or wait_s <= 0:
            return came
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        try:
            done, _ = await asyncio.wait([future], timeout=wait_s)
            return future.result() if done else None
        finally:
            self._forget(key, future)

    def _forget(self, key: Source | Ids, future: asyncio.Future[Outcome]) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        waiting.discard(future)
        if not waiting:
            del self._waiting[key]
