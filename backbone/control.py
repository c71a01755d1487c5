"""What the operator says: halts and policies, from the compacted topic `control`, always read to its end."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from backbone import clients, telemetry
from backbone.errors import Fatal
from backbone.settings import Settings
from schemas.halt import Halt, HaltMode
from schemas.policy import Policy
from schemas.policy_flaw import PolicyError
from schemas.topic import CONTROL

FRESH_S = 0.5  # a halt stops what acts within a second of its log time; half of that is for us to read it
# A reply comes every POLL_MS, is noticed within READ_MS and certifies the look before the last: 300 ms ago at most, of FRESH_S.
POLL_MS, READ_MS = 100, 50
POLICY_CURRENT = "policy/current"
PARTITION = TopicPartition(CONTROL, 0)


@dataclass(slots=True)
class Certificate:
    """At what time what was read is certain to have been all there was, in seconds of the monotonic clock.

    A reply is stamped when it is read here, which may be long after the broker sent it: a process that was paused wakes to an
    old one. But it was asked for after the reply before it had come, and so after the look that found that one began.
    """

    certified_s: float = -math.inf
    _looked_s: float = -math.inf
    _stamp_ms: int | None = None

    def look(self, looked_s: float, stamp_ms: int | None) -> None:
        """A look that began at `looked_s` found the newest reply stamped so."""
        if stamp_ms != self._stamp_ms:
            self.certified_s, self._looked_s, self._stamp_ms = self._looked_s, looked_s, stamp_ms


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
        self._task: asyncio.Task[None] | None = None

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
        self._task = asyncio.create_task(self._follow())
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await clients.stop(self._consumer)

    @property
    def fresh(self) -> bool:
        """Whether the topic was confirmed read to its end within the last 500 ms."""
        end = self._consumer.last_stable_offset(PARTITION)
        recent = time.monotonic() - self._certificate.certified_s < FRESH_S
        return recent and end is not None and self._position >= end

    def halt_for(self, bot_id: str, symbol: str, model: str | None) -> Halt | None:
        """The halt in force for this question: a full one before one that lets reducing actions out, the wider first."""
        scopes = ("all", f"symbol/{symbol}", f"bot/{bot_id}", f"model/{model}")
        found = [_halt(scope, value) for scope in scopes if (value := self._values.get(f"halt/{scope}")) is not None]
        return strictest(found)

    def policy(self, digest: str | None = None) -> Policy | None:
        """The policy of this digest (default: the one in force), restricted to the models that run; None if unknown."""
        if digest is None:
            digest = self._values.get(POLICY_CURRENT, b"").decode("utf-8", "replace").strip().strip('"')
        if digest not in self._policies and (text := self._values.get(f"policy/{digest}")) is not None:
            self._policies[digest] = _policy(text).restricted_to(self._settings.models)
        return self._policies.get(digest)

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
                # The library read on meanwhile: what came then certifies nothing about when it was asked for.
                self._certificate.look(-math.inf, self._consumer.last_poll_timestamp(PARTITION))

    async def _read(self) -> None:
        looked_s = time.monotonic()
        read = await self._consumer.getmany(PARTITION, timeout_ms=READ_MS)
        for record in read.get(PARTITION, ()):
            key = (record.key or b"").decode("utf-8", "replace")
            if record.value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = record.value
            telemetry.event("control.read", key=key, set=record.value is not None)
        self._position = await self._consumer.position(PARTITION)
        self._certificate.look(looked_s, self._consumer.last_poll_timestamp(PARTITION))


def strictest(halts: Sequence[Halt]) -> Halt | None:
    """Of the halts that hold, the widest first: a full one, else the first; adding a halt never loosens trading."""
    return next((halt for halt in halts if halt.mode is HaltMode.FULL), halts[0] if halts else None)


def _halt(scope: str, value: bytes) -> Halt:
    """The halt; one that cannot be read halts all the same, and says why."""
    try:
        return Halt.model_validate({"scope": scope, **json.loads(value)})
    except (ValueError, TypeError, RecursionError) as error:
        return Halt(scope=scope, why=f"its record on {CONTROL} is not halt/1: {error}"[:280])


def _policy(text: bytes) -> Policy:
    try:
        body = json.loads(text)
        return Policy.from_toml(body["text"] if isinstance(body, dict) else str(body))
    except (ValueError, KeyError, PolicyError) as error:
        raise Fatal(f"a policy on {CONTROL} cannot be read: {error}; put it there again by `trading-llm topics apply`") from error
