"""What the operator says: halts and policies, from the compacted topic `control`, always read to its end."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.offset import OffsetRequest

from backbone import clients, telemetry
from backbone.errors import Fatal
from backbone.settings import Settings
from schemas.canonical import digest
from schemas.halt import Halt, HaltMode
from schemas.policy import Policy
from schemas.policy_flaw import PolicyError
from schemas.topic import CONTROL

FRESH_S = 0.5  # a halt stops what acts within a second of its log time; half of that is for us to read it
# Where the topic ends is asked every ASK_S, without waiting for the answer before, so that a confirmation is as old as its own
# answer took, and ASK_S: over a wire of 300 ms there and back at most 400 ms, of FRESH_S.
ASK_S = 0.1
POLL_MS, READ_MS = 100, 50  # how long the broker waits for records, and we for the broker
LATEST, COMMITTED_ONLY, NO_REPLICA = -1, 1, -1  # as the protocol says them
POLICY_CURRENT = "policy/current"
PARTITION = TopicPartition(CONTROL, 0)


@dataclass(slots=True)
class Certificate:
    """Up to when what was read is certain to have been all there was, in seconds of the monotonic clock.

    An answer says where the topic ended at some time after it was asked for, however late it came or was read: a process that
    was paused wakes to an old one.
    """

    asked_s: float = -math.inf
    end: int = 0

    def answered(self, asked_s: float, end: int) -> None:
        """The question asked at `asked_s` has this answer."""
        if asked_s > self.asked_s:
            self.asked_s, self.end = asked_s, end

    def holds(self, position: int, now_s: float) -> bool:
        """Whether who has read up to `position` has read all that was there at some time within the last 500 ms."""
        return now_s - self.asked_s < FRESH_S and position >= self.end


class Control:
    """A reader of `control`; `fail` is told when it can read no more.

    `halt_for` and `policy` answer from memory; `fresh` says whether that memory is current.
    """

    def __init__(self, settings: Settings, fail: Callable[[BaseException], None]) -> None:
        self._settings, self._fail = settings, fail
        self._consumer: AIOKafkaConsumer = clients.reader(settings, auto_offset_reset="earliest", fetch_max_wait_ms=POLL_MS)
        self._values: dict[str, bytes] = {}
        self._policies: dict[str, Policy] = {}
        self._position = 0
        self._certificate = Certificate()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read to the end; Fatal where that takes longer than 10 s, or where no policy is in force."""
        self._consumer.assign([PARTITION])
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._consumer.start()
                end = (await self._consumer.end_offsets([PARTITION]))[PARTITION]
                while await self._consumer.position(PARTITION) < end:
                    await self._read()
        except (KafkaError, TimeoutError) as error:
            raise Fatal(f"topic {CONTROL} cannot be read: {error!r}; run `trading-llm topics check`") from error
        if self.policy() is None:
            raise Fatal(f"topic {CONTROL} holds no policy in force: run `trading-llm topics apply`")
        self._tasks = [asyncio.create_task(each) for each in (self._follow(), self._confirm())]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await clients.stop(self._consumer)

    @property
    def fresh(self) -> bool:
        """Whether the topic was confirmed read to its end within the last 500 ms."""
        return self._certificate.holds(self._position, time.monotonic())

    def halt_for(self, bot_id: str, symbol: str, model: str | None) -> Halt | None:
        """The halt in force for this question: a full one before one that lets reducing actions out, the wider first."""
        scopes = ("all", f"symbol/{symbol}", f"bot/{bot_id}", f"model/{model}")
        found = [_halt(scope, value) for scope in scopes if (value := self._values.get(f"halt/{scope}")) is not None]
        return strictest(found)

    def policy(self, named: str | None = None) -> Policy | None:
        """The policy of this digest (default: the one in force), restricted to the models that run; None if unknown."""
        if named is None:
            named = self._values.get(POLICY_CURRENT, b"").decode("utf-8", "replace").strip().strip('"')
        if named not in self._policies and (text := self._values.get(f"policy/{named}")) is not None:
            self._policies[named] = _policy(text).restricted_to(self._settings.models)
        return self._policies.get(named)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(Fatal(f"topic {CONTROL} is read no more: {error!r}"))

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except KafkaError as error:  # `fresh` tells whoever must know
                telemetry.event("control.unread", error=repr(error))
                await asyncio.sleep(FRESH_S)

    async def _confirm(self) -> None:
        async with asyncio.TaskGroup() as asking:
            while True:
                asking.create_task(self._ask_end())
                await asyncio.sleep(ASK_S)

    async def _ask_end(self) -> None:
        asked_s = time.monotonic()
        client, leader = self._consumer._client, self._consumer._client.cluster.leader_for_partition(PARTITION)
        request = OffsetRequest(NO_REPLICA, COMMITTED_ONLY, [(PARTITION.topic, [(PARTITION.partition, LATEST)])])
        try:
            # On a connection that nothing else uses here: the broker answers nothing behind a read that waits for records.
            # Ends within the client's own time for a request: at most 10 s x 10 a second wait here at a time.
            answer = await client.send(leader, request, group=ConnectionGroup.COORDINATION)
        except (KafkaError, TimeoutError, OSError):
            return  # `fresh` tells whoever must know
        _, error, _, end = answer.topics[0][1][0]
        if not error:
            self._certificate.answered(asked_s, end)

    async def _read(self) -> None:
        read = await self._consumer.getmany(PARTITION, timeout_ms=READ_MS)
        for record in read.get(PARTITION, ()):
            key = (record.key or b"").decode("utf-8", "replace")
            if record.value is not None and _is_anothers(key, record.value):
                telemetry.event("control.refused", key=key, error="its text is not the one of this digest; the old one holds")
                continue
            if record.value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = record.value
            telemetry.event("control.read", key=key, set=record.value is not None)
        self._position = await self._consumer.position(PARTITION)


def strictest(halts: Sequence[Halt]) -> Halt | None:
    """Of the halts that hold, the widest first: a full one, else the first; adding a halt never loosens trading."""
    return next((halt for halt in halts if halt.mode is HaltMode.FULL), halts[0] if halts else None)


def _halt(scope: str, value: bytes) -> Halt:
    """The halt; one that cannot be read halts all the same, and says why."""
    try:
        return Halt.model_validate({"scope": scope, **json.loads(value)})
    except (ValueError, TypeError, RecursionError) as error:
        return Halt(scope=scope, why=f"its record on {CONTROL} is not halt/1: {error}"[:280])


def _is_anothers(key: str, value: bytes) -> bool:
    """Whether this is no policy, or one of another digest than its key's: decisions name what they were made by by its digest."""
    kind, _, named = key.partition("/")
    if kind != "policy" or key == POLICY_CURRENT:
        return False
    try:
        return digest(_text(value).encode()) != named
    except (ValueError, KeyError, TypeError, RecursionError):
        return True


def _text(value: bytes) -> str:
    body = json.loads(value)
    return str(body["text"] if isinstance(body, dict) else body)


def _policy(value: bytes) -> Policy:
    try:
        return Policy.from_toml(_text(value))
    except (ValueError, KeyError, PolicyError) as error:
        raise Fatal(f"a policy on {CONTROL} cannot be read: {error}; put it there again by `trading-llm topics apply`") from error
