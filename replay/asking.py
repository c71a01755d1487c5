"""Contexts of a file asked again, of the running models, through `replay.*` behind all that is live; goes on where it was.

The log remembers for us: what was asked in a run lies in `replay.contexts` under its name, and what came of it beside it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from backbone import clients, ledger
from backbone.errors import Fatal
from backbone.settings import Settings
from backbone.stops import reach
from backbone.tail import Tail
from schemas import headers as names
from schemas.origin import Origin
from schemas.record import Record
from schemas.refusal import Reason
from schemas.size import KEY_BYTES_MAX, VALUE_BYTES_MAX
from schemas.source import Source
from schemas.topic import Side

REPLAYS: Final = Side.REPLAYS
OUTCOMES: Final = (REPLAYS.decisions, REPLAYS.dead_letters)
REPEATS: Final = frozenset({Reason.DUPLICATE_CONTEXT_ID, Reason.CONTEXT_ID_REUSED})
AT_ONCE: Final = 256  # contexts without an outcome: enough for four engines, and few that a router tags beside live ones
SILENCE_S_MAX: Final = 600.0  # live contexts go before: a replay may have to wait, but not for ever

Ends = Mapping[tuple[str, int], int]


class Unanswered(Exception):
    """Nothing came of what was asked; the text says how long, and what to look at."""


async def stands(settings: Settings) -> dict[tuple[str, int], int]:
    """Where the log of replays ends now: whoever goes on with what is asked later looks from here. Raises Fatal."""
    return await ledger.ends(settings, (REPLAYS.contexts, *OUTCOMES))


async def ask(
    settings: Settings, since: Ends, run_id: str, records: Sequence[Record], told: Callable[[int], None]
) -> dict[Source, Record]:
    """The outcome of each of these contexts in this run, by the context; `since`: where the log stood before any was asked.

    1. what was asked already
    2. the others, a few at a time; then what is still to come

    Raises Unanswered, and Fatal where Kafka is away.
    """
    own = _Asking(run_id, {str(Origin(each.source, each.timestamp_ms)): each.source for each in records}, told)
    async for record in ledger.read(settings, since, (REPLAYS.contexts,)):  # 1
        own.asked_before(record)
    tail = Tail(settings, OUTCOMES, own.came, since=since)
    await tail.start()
    producer = clients.plain_producer(settings)
    try:
        await producer.start()
        await own.run(producer, records)  # 2
    except clients.KafkaError as error:
        raise Fatal(f"broker at {settings.kafka_bootstrap}: {error!r}; is it up?") from error
    finally:
        await clients.stop(producer)
        await tail.stop()
    return own.outcomes


@dataclass(slots=True)
class _Asking:
    """What was asked in a run, and what came of it. `wanted`: the contexts, by their `origin` header."""

    run_id: str
    wanted: Mapping[str, Source]
    told: Callable[[int], None]
    outcomes: dict[Source, Record] = field(default_factory=dict)
    _asked: Counter[Source] = field(default_factory=Counter)  # how often: twice where a kill hid that it was asked
    _repeats: Counter[Source] = field(default_factory=Counter)
    _waiting: set[Source] = field(default_factory=set)  # asked, and without an outcome
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    def asked_before(self, record: Record) -> None:
        """A record of `replay.contexts`."""
        if (src := self._src(record)) is not None:
            self._asked[src] += 1
            self._waiting.add(src)

    def came(self, record: Record) -> None:
        """An outcome: of this run, of another one, or of nothing of ours."""
        src = self._src(record)
        if src is None or self._is_of_another(src, record):
            return
        self.outcomes[src] = record
        self._waiting.discard(src)
        self.told(len(self.outcomes))
        self._heard.set()
        reach("replay.after_outcome")

    def _is_of_another(self, src: Source, record: Record) -> bool:
        """Whether this is the dead letter of a repeat, and what it repeats has another outcome, or is still to have it."""
        if src in self.outcomes and record.source.topic == REPLAYS.dead_letters:
            return True
        if names.header_text(record.headers, names.REASON) not in REPEATS:
            return False
        self._repeats[src] += 1
        return self._repeats[src] < self._asked[src]

    async def run(self, producer: Any, records: Sequence[Record]) -> None:
        """Ask what was not asked, and wait for every outcome. Raises Unanswered, and what the producer raises."""
        written: list[Awaitable[Any]] = []
        for record in records:
            if record.source in self._waiting or record.source in self.outcomes:
                continue
            await self._until(AT_ONCE - 1)
            if _too_large(record):  # as it was: it never was a question, and the topic of replays would not take it
                self.outcomes[record.source] = replace(record, source=replace(record.source, topic=REPLAYS.dead_letters))
                continue
            self._asked[record.source] += 1
            self._waiting.add(record.source)
            value = None if record.tombstone and record.key is not None else record.value  # the client takes not both away
            headers = [*self._own_headers(record)]
            written.append(await producer.send(REPLAYS.contexts, value, key=record.key, headers=headers))
            reach("replay.after_ask")
        await asyncio.gather(*written)
        await self._until(0)

    async def _until(self, left_max: int) -> None:
        while len(self._waiting) > left_max:
            self._heard.clear()
            try:
                async with asyncio.timeout(SILENCE_S_MAX):
                    await self._heard.wait()
            except TimeoutError:
                left = len(self._waiting)
                raise Unanswered(
                    f"no outcome of {left} replayed contexts for {SILENCE_S_MAX:.0f} s: look at `trading-llm status`; "
                    "routers and workers take replays while live contexts leave them room, unless TRADING_LLM_REPLAYS is false"
                ) from None

    def _src(self, record: Record) -> Source | None:
        if names.header_text(record.headers, names.RUN_ID) != self.run_id:
            return None
        return self.wanted.get(names.header_text(record.headers, names.ORIGIN) or "")

    def _own_headers(self, record: Record) -> list[tuple[str, bytes]]:
        own = {names.RUN_ID: self.run_id.encode(), names.ORIGIN: str(Origin(record.source, record.timestamp_ms)).encode()}
        return [*((name, value) for name, value in record.headers if name not in own), *own.items()]


def _too_large(record: Record) -> bool:
    return len(record.value) > VALUE_BYTES_MAX or len(record.key or b"") > KEY_BYTES_MAX
