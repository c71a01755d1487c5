"""Each known mistake, put into the running processes, is found on Kafka; and the same schedule without it holds."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from backbone import topics
from backbone.clients import REQUEST_BYTES_MAX
from schemas.headers import SRC, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import DECISIONS, model_topic
from tests.faults import planted
from tests.faults.case import Case
from tests.faults.stop_points import MODEL, Rig, asleep, fired
from tests.faults.test_doubt import Holding
from tests.faults.test_no_offsets import GROUPS, change
from tests.model import planted as in_the_model
from tests.model.planted import Plant
from tests.support import feed
from tests.support.kafka import ProxiedBroker
from tests.support.processes import Running
from tests.support.proxy import JOIN_GROUP
from tests.support.transactions import write_each
from trading_llm.fault import LOST, MARK_AHEAD, MARK_BEHIND, MISORDERED, TWICE, WRONG_REASON

pytestmark = pytest.mark.faults

WRITERS = 10
ANSWERED_S_MAX = 15.0  # what is lost never comes; the control takes as long as it takes
SURE = {"TRADING_LLM_COMMIT_DOUBT_S": "60", "TRADING_LLM_CLAIM_S": "60"}  # who sleeps does not doubt when it wakes


NO_REDIS = "redis://127.0.0.1:1/0"


@dataclass(slots=True)
class Ground:
    """Where a schedule takes place; `fired`: how often what it turns on is known to have happened."""

    rig: Rig
    broker: ProxiedBroker
    fired: int = 0

    async def answered(self, sources: Sequence[Source]) -> None:
        """Read until all are answered, or for as long as they may take."""
        until_s = time.monotonic() + ANSWERED_S_MAX
        while set(sources) - self.rig.watch.answered and time.monotonic() < until_s:
            await self.rig.watch.read()

    async def asleep(self, process: Running) -> None:
        """Read until it stands still."""
        await self.rig.watch.until(lambda: asleep(process), "it stops at its stop point")
        self.fired += 1


Schedule = Callable[[Ground], Awaitable[None]]


async def a_sleeper_wakes_after_its_lane_moved(ground: Ground) -> None:
    rig = ground.rig
    rig.start("router")
    rig.start("worker", ordinal=1)
    sleeper = rig.start("worker", TRADING_LLM_STOP_POINTS="lane.after_begin=stop@3", **SURE)
    sources = await rig.feed(100)
    await ground.asleep(sleeper)
    await rig.watch.until_answered(sources)  # by the other one
    sleeper.resume()
    await ground.answered(await rig.feed(100))


async def an_owner_commits_while_another_claims(ground: Ground) -> None:
    rig = ground.rig
    slow = {"TRADING_LLM_SCRIPT": json.dumps({"delay_ms": 300})}
    owner = rig.start("worker", ordinal=1, TRADING_LLM_STOP_POINTS="lane.after_begin=stop@5", **slow, **SURE)
    rig.start("router", TRADING_LLM_REDIS_URL=NO_REDIS)  # it believes Kafka, where there always is a member, and rescues nothing
    sources = await rig.feed(100)
    await ground.asleep(owner)
    claimant = rig.launch("worker", TRADING_LLM_STOP_POINTS="claim.after_offset=stop@1")
    await ground.asleep(claimant)  # once the owner's session is over
    # The owner writes what it had, before it hears that it is a member no more: then nothing moves under the claimant.
    ground.broker.wire.hold = lambda request: "request" if request.api_key == JOIN_GROUP else None
    owner.resume()
    await rig.go_on(2.0)
    owner.kill()
    ground.broker.wire.hold = lambda _request: None
    claimant.resume()
    await ground.answered(sources)


async def commits_are_in_doubt(ground: Ground) -> None:
    rig, wire = ground.rig, ground.broker.wire
    for room in ("router", "worker"):
        rig.start(room)
    held = wire.held.total()
    wire.hold = Holding(seed=3, most=10)
    sources: list[Source] = []
    for _ in range(60):
        sources += await rig.feed(10)
        await rig.go_on(0.1)
    wire.hold = lambda _request: None
    ground.fired = wire.held.total() - held
    await ground.answered(sources)


async def a_worker_dies_while_it_asks(ground: Ground) -> None:
    rig = ground.rig
    rig.start("router")
    victim = rig.start("worker", TRADING_LLM_SCRIPT=json.dumps({"faults": {"hang": ""}}))
    sources = await rig.feed(20)  # fewer than it may ask at once: it goes on reading
    await rig.go_on(3.0)
    victim.kill()
    ground.fired = len(rig.watch.of(model_topic(MODEL))) - len(rig.watch.answered)  # which it asked, or could have
    rig.start("worker")
    await ground.answered(sources)


async def a_write_is_refused(ground: Ground) -> None:
    rig = ground.rig
    rig.start("router")
    worker = rig.start("worker")
    await set_most_bytes(rig.bootstrap, 200)
    sources = await rig.feed(20)
    await rig.go_on(2.0)
    await set_most_bytes(rig.bootstrap, REQUEST_BYTES_MAX)
    await ground.answered(sources)
    ground.fired = worker.said().count("write.unheeded ") + worker.said().count("MessageSizeTooLarge")


async def set_most_bytes(bootstrap: str, most: int) -> None:
    """What the broker takes at once in `decisions`."""
    config = next(each.config for each in topics.plan((MODEL,)) if each.name == DECISIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = config | {"max.message.bytes": str(most)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, DECISIONS, wanted)])
    finally:
        await admin.close()


async def a_worker_dies_behind_a_hanging_question(ground: Ground) -> None:
    rig = ground.rig
    rig.start("router")
    victim = rig.start("worker", TRADING_LLM_SCRIPT=json.dumps({"faults": {"hang": "S1USD"}}))
    sources = await rig.feed(200)
    # Those of other keys in the hanging one's partition, and all of the other partitions, are answered meanwhile.
    await rig.watch.until(lambda: len(rig.watch.answered) > 150, "the others are answered")
    await rig.go_on(1.0)
    victim.kill()
    ground.fired = len(set(sources) - rig.watch.answered)  # which hang, or wait behind one of their key
    rig.start("worker")
    await ground.answered(sources)


async def answers_take_different_times(ground: Ground) -> None:
    rig = ground.rig
    rig.start("router")
    rig.start("worker", TRADING_LLM_SCRIPT=json.dumps({"spread_ms": 200}))
    await ground.answered(await rig.feed(300))
    ground.fired = overtakings(rig.watch.of(DECISIONS))


def overtakings(decisions: Iterable[Record]) -> int:
    """How many of these stand behind one whose context came later in the same partition, of whatever key."""
    found, newest = 0, Counter[int]()
    for record in decisions:
        src = Source.parse(header_text(record.headers, SRC) or "")
        found += src.offset < newest[src.partition]
        newest[src.partition] = max(newest[src.partition], src.offset)
    return found


async def thousands_of_transactions(ground: Ground) -> None:
    rig = ground.rig
    rig.start("router")
    rig.start("worker")
    bodies = feed.bodies(2_400, 40, seed=8, label=rig.label, ttl_ms=1)  # over at once: it is the lane that is looked at
    pairs = [(feed.key_of(body), feed.value_of(body)) for body in bodies]
    writers = [write_each(rig.bootstrap, f"{rig.label}-{n}", pairs[n::WRITERS], 0) for n in range(WRITERS)]
    sources = [source for each in await asyncio.gather(*writers) for source in each]
    ground.fired = max(source.offset for source in sources) + 1 - len(sources)  # markers: offsets that are never delivered
    await ground.answered(sources)


async def a_lane_is_claimed_again_by_its_owner(ground: Ground) -> None:
    rig = ground.rig
    router = rig.start("router", TRADING_LLM_STOP_POINTS="lane.before_end=raise@12")
    rig.start("worker")
    sources = await rig.feed(100)
    await ground.answered(sources)
    ground.fired = fired(router, "lane.before_end")


async def a_groups_offsets_are_gone(ground: Ground) -> None:
    rig = ground.rig
    for room in ("router", "worker"):
        rig.start(room)
    sources = await rig.feed(100)
    await rig.watch.until_answered(sources)
    rig.running["worker"].stop()
    await asyncio.to_thread(change, rig.bootstrap, "successful", "--delete", "--group", GROUPS["worker"][0])
    ground.fired = 1
    rig.start("worker")
    await ground.answered(await rig.feed(100))


PLANTED: list[tuple[Plant, Schedule, Collection[str]]] = [
    (planted.one_transactional_id_a_process, a_sleeper_wakes_after_its_lane_moved, (TWICE,)),
    (planted.the_offset_read_before_the_fence, an_owner_commits_while_another_claims, (TWICE,)),
    (planted.the_producer_kept_after_a_doubtful_commit, commits_are_in_doubt, (LOST, TWICE)),
    (planted.auto_commit, a_worker_dies_while_it_asks, (LOST, MARK_AHEAD)),
    (planted.send_futures_not_awaited, a_write_is_refused, (LOST, MARK_AHEAD)),
    (in_the_model.the_bitmap_not_written, a_worker_dies_behind_a_hanging_question, (TWICE,)),
    (in_the_model.a_result_published_before_an_earlier_one_of_its_key, answers_take_different_times, (MISORDERED,)),
    (in_the_model.a_watermark_that_waits_for_markers, thousands_of_transactions, (MARK_BEHIND,)),
    (in_the_model.its_own_record_taken_for_a_repeat, a_lane_is_claimed_again_by_its_owner, (WRONG_REASON,)),
    (planted.no_committed_offset_taken_as_earliest, a_groups_offsets_are_gone, (TWICE,)),
]
# Without the mistake this one's process refuses to start, which is another case: tests/faults/test_no_offsets.py.
CONTROLS = [each[1] for each in PLANTED if each[1] is not a_groups_offsets_are_gone]


@pytest.fixture
def proxied(proxied: ProxiedBroker) -> ProxiedBroker:
    """The module's Kafka, wiped: what a mistake did stays in the logs."""
    proxied.wipe()
    proxied.apply_topics()
    return proxied


@pytest.mark.fault("planted")
@pytest.mark.parametrize(("plant", "schedule", "kinds"), PLANTED, ids=[each[0].__name__ for each in PLANTED])
async def test_it_is_found(
    wired: Rig, proxied: ProxiedBroker, case: Case, plant: Plant, schedule: Schedule, kinds: Collection[str]
) -> None:
    wired.pipeline.runner = ("tests.faults.planted", plant.__name__)
    ground = Ground(wired, proxied)
    await schedule(ground)
    case.catch(await wired.watch.settled(8), ground.fired, kinds)


@pytest.mark.long
@pytest.mark.fault("unplanted")
@pytest.mark.parametrize("schedule", CONTROLS, ids=[each.__name__ for each in CONTROLS])
async def test_without_it_the_same_schedule_holds(wired: Rig, proxied: ProxiedBroker, case: Case, schedule: Schedule) -> None:
    ground = Ground(wired, proxied)
    await schedule(ground)
    verdict = await wired.watch.settled(60)
    case.fired = ground.fired
    case.judge(verdict)
