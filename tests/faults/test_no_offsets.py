"""F25: a group whose offsets are gone refuses to start, says what to do, and decides nothing again."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka_node import KafkaNode, java
from deploy.local.ports import free_port
from schemas.topic import CONTEXTS, model_topic
from tests.faults.case import Case
from tests.faults.stop_points import MODEL, Rig, Room
from tests.support.kafka import SESSION_MS, Broker
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import watching

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.fault("F25")]

GROUPS: dict[Room, tuple[str, str]] = {"router": ("router", CONTEXTS), "worker": (f"worker.{MODEL}", model_topic(MODEL))}
EMPTY_S_MAX = 45.0
EXPIRED_S_MAX = 150.0
REMEDY = "set it by kafka-consumer-groups"


def groups(bootstrap: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Kafka's own tool for groups."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    command = (*java(), tool, "--bootstrap-server", bootstrap, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def change(bootstrap: str, says: str, *arguments: str) -> None:
    """Do this to a group, once its last member's session is over; `says` is what the tool says when it has."""
    deadline = time.monotonic() + EMPTY_S_MAX
    while says not in (said := groups(bootstrap, *arguments)).stdout:
        assert time.monotonic() < deadline, said.stdout + said.stderr
        time.sleep(1)


@pytest.mark.parametrize("room", ["router", "worker"])
async def test_a_deleted_group_is_no_reason_to_decide_again(rig: Rig, case: Case, room: Room) -> None:
    group, topic = GROUPS[room]
    for each in ("router", "worker"):
        rig.start(each)
    sources = await rig.feed(200)
    await rig.watch.until_answered(sources)
    rig.running[room].stop()
    await asyncio.to_thread(change, rig.bootstrap, "successful", "--delete", "--group", group)
    refusing = rig.launch(room)
    assert await asyncio.to_thread(refusing.wait_exit, 60) == 1
    case.fired = refusing.said().count(REMEDY)
    assert case.fired, refusing.said()
    # The remedy: all of it was decided, so it goes on at the end.
    at_the_end = ("--reset-offsets", "--group", group, "--topic", topic, "--to-latest", "--execute")
    await asyncio.to_thread(change, rig.bootstrap, topic, *at_the_end)
    rig.start(room)
    later = await rig.feed(200)
    await rig.watch.until_answered(later)
    case.judge(await rig.watch.settled(20), len(sources) + len(later))


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Broker]:
    """A Kafka that keeps the offsets of an empty group for a minute."""
    folder = tmp_path / "kafka"
    more = {"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000"}
    broker = Broker(folder, KafkaNode(free_port(), free_port(), folder, SESSION_MS, more=more))
    broker.start_again()
    broker.apply_topics()
    yield broker
    broker.stop()


async def test_an_expired_offset_is_no_reason_to_decide_again(
    forgetful: Broker, fresh_redis: RedisServer, tmp_path: Path, case: Case
) -> None:
    pipeline = Pipeline(forgetful, fresh_redis, tmp_path, models=(MODEL,))
    try:
        async with watching(forgetful.bootstrap, (MODEL,)) as watch:
            rig = Rig(pipeline, watch, label="expired")
            for room in ("router", "worker"):
                rig.start(room)
            sources = await rig.feed(200)
            await watch.until_answered(sources)
            before = await watch.settled(20)
            assert before.holds, str(before)
            rig.running["worker"].stop()
            await until_expired(rig, GROUPS["worker"])
            refusing = rig.launch("worker")
            assert await asyncio.to_thread(refusing.wait_exit, 60) == 1
            case.fired = refusing.said().count(REMEDY)
            await rig.go_on(2)
            case.contexts = len(sources)
            assert case.fired, refusing.said()
            assert (await watch.verdict()).outcomes == before.outcomes, "something was decided again"
    finally:
        pipeline.close()


async def until_expired(rig: Rig, of: tuple[str, str]) -> None:
    """Wait until the broker has forgotten this group's offsets."""
    deadline = time.monotonic() + EXPIRED_S_MAX
    while any(place[0] == of[1] and mark.offset >= 0 for place, mark in (await rig.watch.marks()).items()):
        assert time.monotonic() < deadline, "the offsets did not expire"
        await rig.go_on(2)
