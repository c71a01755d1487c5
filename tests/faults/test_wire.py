"""F7: a wire that is slow, and one that breaks: everything is decided once, later."""

from __future__ import annotations

import time
from statistics import quantiles

import pytest

from schemas.headers import SRC, header_text
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS
from tests.faults.case import Case
from tests.faults.recovery import every_lane, passages, recoveries_s
from tests.faults.stop_points import MODEL, Rig
from tests.support.feed import feeding
from tests.support.kafka import ProxiedBroker

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F7")]

PER_S = 50
BEFORE_S = 8.0
SLOW_S = 25.0
DELAY_S = 0.15  # each way
# Every request takes 300 ms, and a transaction three of them: what acts may wait until its time is over.
TTL_MS = 10_000
BREAKS = 10
BREAK_EVERY_S = 2.0


async def test_a_slow_wire(wired: Rig, proxied: ProxiedBroker, case: Case) -> None:
    processes = [wired.start("router"), wired.start("worker")]
    async with feeding(wired.bootstrap, PER_S, label=f"{wired.label}-before") as before:
        await wired.go_on(BEFORE_S)
    await wired.watch.until_answered(before.acknowledged)
    proxied.wire.delay_s = DELAY_S
    try:
        async with feeding(wired.bootstrap, PER_S, label=f"{wired.label}-slow", ttl_ms=TTL_MS) as slow:
            await wired.go_on(SLOW_S)
        await wired.watch.until_answered(slow.acknowledged)
    finally:
        proxied.wire.delay_s = 0.0
    verdict = await wired.watch.settled(30)
    case.figures = tails(wired, before.acknowledged, "before") | tails(wired, slow.acknowledged, "slow")
    case.fired = int(int(case.figures["slow p50 ms"]) >= int(case.figures["before p50 ms"]) + 2 * DELAY_S * 1000)
    case.figures |= {"lanes lost": sum(each.said().count("lane.lost ") for each in processes)}
    case.figures |= {f"slow {status}": count for status, count in verdict.statuses.items()}
    case.judge(verdict, len(before.acknowledged) + len(slow.acknowledged))


async def test_a_wire_that_breaks(wired: Rig, proxied: ProxiedBroker, case: Case) -> None:
    processes = [wired.start("router"), wired.start("worker")]
    case.tried, broken, broke_ms = BREAKS, proxied.wire.broken, []
    async with feeding(wired.bootstrap, PER_S, label=wired.label) as fed:
        await wired.go_on(2)
        for _ in range(BREAKS):
            already = proxied.wire.broken
            proxied.wire.reset()
            broke_ms.append(time.time() * 1000)
            await wired.go_on(BREAK_EVERY_S)
            case.fired += proxied.wire.broken > already
    await wired.watch.until_answered(fed.acknowledged)
    verdict = await wired.watch.settled(30)
    found = passages(wired.watch, (MODEL,))
    case.recovery_s = [each for at in broke_ms for each in recoveries_s(found, every_lane((MODEL,)), at)]
    case.figures = {"connections broken": proxied.wire.broken - broken}
    case.figures["lanes lost"] = sum(each.said().count("lane.lost ") for each in processes)
    case.judge(verdict, len(fed.acknowledged))
    assert [each.popen.poll() for each in processes] == [None, None], "a process ended because its wire broke"


def tails(rig: Rig, sources: list[Source], when: str) -> dict[str, float | int | str]:
    """Milliseconds from a context's log time to its decision's, the middle and the last hundredth."""
    took = sorted(latencies_ms(rig, sources))
    cuts = quantiles(took, n=100)
    return {f"{when} p50 ms": round(cuts[49]), f"{when} p99 ms": round(cuts[98])}


def latencies_ms(rig: Rig, sources: list[Source]) -> list[int]:
    """Of each of these contexts."""
    came = {record.source: record.timestamp_ms for record in rig.watch.of(CONTEXTS)}
    records = (*rig.watch.of(DECISIONS), *rig.watch.of(DEAD_LETTERS))
    went = {header_text(record.headers, SRC): record.timestamp_ms for record in records}
    return [went[str(each)] - came[each] for each in sources]
