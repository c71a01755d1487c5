"""What each worker says of itself every second, in Redis, expiring; nothing is lost when Redis is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import redis.asyncio as redis
from pydantic import ValidationError
from redis.exceptions import RedisError

from backbone import telemetry
from backbone.settings import Settings
from schemas.status import Heartbeat

PREFIX = "trading_llm:heartbeat:"
EVERY_S = 1.0
STARTING_EVERY_S = 0.2  # whoever sees a process ready finds its model so too
EXPIRES_S = 5
WAIT_S = 0.5  # Redis is a cache: whoever asks it waits no longer
LOOK_EVERY_S = 0.25  # how often a router reads them
# So long after it was written every router has read one, if a read takes the milliseconds that it does: one that just missed
# it, and the next. Where Redis is slow a model may be said to be ready before every router has heard so.
SEEN_AFTER_S = 2 * LOOK_EVERY_S
AWAY = (RedisError, OSError)


class Heartbeats:
    """The heartbeats in one Redis; every call is bounded, and an absent Redis is an absent heartbeat."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S, decode_responses=True
        )
        self._away = False
        self._ready_written_s: float | None = None  # when the first ready one was

    @property
    def seen_ready(self) -> bool:
        """Whether routers have had the time to read a ready heartbeat of ours; true too where there is no Redis to read."""
        written_s = self._ready_written_s
        return self._away or (written_s is not None and time.monotonic() - written_s > SEEN_AFTER_S)

    async def beat(self, say: Callable[[], Heartbeat]) -> None:
        """Write a heartbeat every second, and more often before it is ready, for ever."""
        while True:
            heartbeat = say()
            try:
                await self._redis.set(PREFIX + heartbeat.process, heartbeat.model_dump_json(), ex=EXPIRES_S)
                self._notice(away=False)
                if heartbeat.ready and self._ready_written_s is None:
                    self._ready_written_s = time.monotonic()
            except AWAY as error:
                self._notice(away=True, error=repr(error))
            await asyncio.sleep(EVERY_S if heartbeat.ready else STARTING_EVERY_S)

    async def end(self, process: str) -> None:
        """This process says no more: what it said last goes now, not in 5 s."""
        try:
            await self._redis.delete(PREFIX + process)
        except AWAY as error:
            self._notice(away=True, error=repr(error))

    async def read(self) -> dict[str, Heartbeat] | None:
        """The newest heartbeat of each process, within half a second; None where Redis is away."""
        try:
            async with asyncio.timeout(WAIT_S):
                keys = [key async for key in self._redis.scan_iter(match=PREFIX + "*", count=1000)]
                values = await self._redis.mget(keys) if keys else []
        except AWAY as error:
            self._notice(away=True, error=repr(error))
            return None
        self._notice(away=False)
        return {each.process: each for each in _readable(values)}

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _notice(self, *, away: bool, error: str = "") -> None:
        if away != self._away:
            telemetry.event("redis.away" if away else "redis.back", error=error)
        self._away = away


def _readable(values: Iterable[str | None]) -> Iterable[Heartbeat]:
    """The heartbeats among these; one of another version is as good as none."""
    for value in values:
        try:
            if value is not None:
                yield Heartbeat.model_validate_json(value)
        except ValidationError:
            continue


def own_version() -> str:
    """The version of this installation, for heartbeats; empty where it runs from a folder."""
    try:
        return version("trading-llm")
    except PackageNotFoundError:
        return ""
