"""What each worker says of itself every second, in Redis, expiring; nothing is lost when Redis is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from backbone import telemetry
from backbone.settings import Settings
from schemas.status import Heartbeat

PREFIX = "trading_llm:heartbeat:"
EVERY_S = 1.0
STARTING_EVERY_S = 0.2  # whoever sees a process ready finds its model so too
EXPIRES_S = 5
WAIT_S = 1.0  # Redis is a cache: whoever asks it waits no longer


class Heartbeats:
    """The heartbeats in one Redis; every call is bounded, and an absent Redis is an absent heartbeat."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S, decode_responses=True
        )
        self._away = False

    async def beat(self, say: Callable[[], Heartbeat]) -> None:
        """Write a heartbeat every second, until it is ready more often, for ever."""
        while True:
            heartbeat = say()
            try:
                await self._redis.set(PREFIX + heartbeat.process, heartbeat.model_dump_json(), ex=EXPIRES_S)
                self._notice(away=False)
            except (RedisError, OSError) as error:
                self._notice(away=True, error=repr(error))
            await asyncio.sleep(EVERY_S if heartbeat.ready else STARTING_EVERY_S)

    async def read(self) -> dict[str, Heartbeat] | None:
        """The newest heartbeat of each process; None where Redis is away."""
        try:
            keys = [key async for key in self._redis.scan_iter(match=PREFIX + "*", count=1000)]
            values = await self._redis.mget(keys) if keys else []
        except (RedisError, OSError) as error:
            self._notice(away=True, error=repr(error))
            return None
        self._notice(away=False)
        beats = [Heartbeat.model_validate_json(value) for value in values if value is not None]
        return {each.process: each for each in beats}

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _notice(self, *, away: bool, error: str = "") -> None:
        if away != self._away:
            telemetry.event("redis.away" if away else "redis.back", error=error)
        self._away = away
