"""F13: Redis is gone, slow, wiped: decisions go on as if nothing were, and no model is thought to be out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.faults.case import Case
from tests.faults.memory import sampled
from tests.faults.stop_points import Rig
from tests.support.feed import feeding
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F13"), pytest.mark.timeout(240)]

PER_S = 50
FAULT_S = 12.0  # longer than a heartbeat lasts, and a model is taken for dead without one
PAUSE_MS, PAUSE_EVERY_S = 1_500, 2.0  # whoever asks waits half a second at most
WIPE_EVERY_S = 0.3
GROWTH_MB_MAX = 20.0
Strike = Callable[[Rig, RedisServer], Awaitable[int]]


async def gone(rig: Rig, server: RedisServer) -> int:
    server.kill()
    await rig.go_on(FAULT_S)
    server.start_again()
    await rig.go_on(2)
    return min(each.said().count("redis.away") for each in rig.running.values())


async def slow(rig: Rig, server: RedisServer) -> int:
    pauses = round(FAULT_S / PAUSE_EVERY_S)
    for _ in range(pauses):
        server.pause(PAUSE_MS)
        await rig.go_on(PAUSE_EVERY_S)
    return pauses if all("redis.away" in each.said() for each in rig.running.values()) else 0


async def wiped(rig: Rig, server: RedisServer) -> int:
    wipes = 0
    for _ in range(round(FAULT_S / WIPE_EVERY_S)):
        wipes += server.flush() > 0
        await rig.go_on(WIPE_EVERY_S)
    return wipes


@pytest.mark.parametrize(("strike", "tried"), [(gone, 1), (slow, 6), (wiped, 5)], ids=["gone", "slow", "wiped"])
async def test_decisions_go_on_without_it(rig: Rig, fresh_redis: RedisServer, case: Case, strike: Strike, tried: int) -> None:
    processes = {"router": rig.start("router"), "worker": rig.start("worker")}
    case.tried = tried
    async with sampled(processes) as memory, feeding(rig.bootstrap, PER_S, label=rig.label) as fed:
        await rig.go_on(2)
        case.fired = await strike(rig, fresh_redis)
    await rig.watch.until_answered(fed.acknowledged)
    verdict = await rig.watch.settled(30)
    case.figures |= dict(verdict.statuses) | {f"{name} grew MB": memory.growth_mb(name, 3) for name in processes}
    case.judge(verdict, len(fed.acknowledged))
    assert not {"EXPIRED", "ABSTAINED_NO_MODEL"} & verdict.statuses.keys(), "waited for Redis, or for a model that is well"
    assert not {"model.down", "model.opened"} & set(processes["router"].said().split()), processes["router"].said()
    assert all(memory.growth_mb(name, 3) < GROWTH_MB_MAX for name in processes), case.figures
