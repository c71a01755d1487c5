"""The known mistakes, put into a running process: `python -m tests.faults.planted NAME router|workers` runs that room with one.

What is wrong with the lane's decisions is the same patch that the model finds (`tests/model/planted.py`); what is wrong with how
it speaks to Kafka is planted here, where it is really spoken. Nothing of the product knows of this.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaClient

from backbone import producer, telemetry
from backbone.clients import bare_client
from backbone.errors import Doubt, Fenced
from backbone.lane import Lane, Place
from backbone.progress import Mark
from backbone.protocol import NO_OFFSET, committed
from backbone.stops import reach
from backbone.transaction import Writer
from schemas.result import Result
from tests.model import planted as in_the_model
from tests.model.planted import Plant


def one_transactional_id_a_process(patch: pytest.MonkeyPatch) -> None:
    """Each process has ids of its own: nobody is fenced when a partition moves."""
    own = property(lambda place: f"{place.group}.{place.topic}.{place.partition}.{os.getpid()}")
    patch.setattr(Place, "transactional_id", own)


def the_offset_read_before_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Between the two, the owner of before can still commit. The stop point lies between them, too."""
    claim, looked = Lane.claim, dict[tuple[str, int], tuple[int, str]]()

    async def claim_late(lane: Lane) -> Mark:
        client = await bare_client(lane._settings)
        try:
            looked[lane.place.topic, lane.place.partition] = await committed(client, *lane._coordinates())
        finally:
            await client.close()
        reach("claim.after_offset")
        return await claim(lane)

    async def remembered(client: AIOKafkaClient, group: str, topic: str, partition: int) -> tuple[int, str]:
        return looked[topic, partition]

    patch.setattr(Lane, "claim", claim_late)
    patch.setattr("backbone.lane.committed", remembered)


def the_producer_kept_after_a_doubtful_commit(patch: pytest.MonkeyPatch) -> None:
    """No answer counts as a good one, and the same producer goes on."""
    commit = Writer.commit

    async def commit_surely(writer: Writer, results: Sequence[Result], mark: Callable[[], Mark], *more: Any) -> int | None:
        try:
            return await commit(writer, results, mark, *more)
        except Fenced:
            raise
        except Doubt:
            writer._in_doubt = False
            return None

    patch.setattr(Writer, "commit", commit_surely)


def auto_commit(patch: pytest.MonkeyPatch) -> None:
    """The consumer commits its own position as it reads."""
    poll = Lane._poll

    async def poll_and_commit(lane: Lane, records_max: int) -> None:
        await poll(lane, records_max)
        await lane._consumer.commit({lane._partition: await lane._consumer.position(lane._partition)})

    patch.setattr(Lane, "_poll", poll_and_commit)


def send_futures_not_awaited(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at what became of a write."""
    raise_for = producer.raise_for

    def raise_for_all_but_writes(error_code: int, what: str) -> None:
        if not what.startswith("write to "):
            raise_for(error_code, what)
        elif error_code:
            telemetry.event("write.unheeded", error=error_code)  # so that the case knows that there was one

    patch.setattr(producer, "raise_for", raise_for_all_but_writes)


def no_committed_offset_taken_as_earliest(patch: pytest.MonkeyPatch) -> None:
    """History is decided again."""

    async def from_the_start(client: AIOKafkaClient, group: str, topic: str, partition: int) -> tuple[int, str]:
        found = await committed(client, group, topic, partition)
        return (0, "") if found[0] == NO_OFFSET else found

    patch.setattr("backbone.lane.committed", from_the_start)


def a_fenced_rescuer_that_claims_again_at_once(patch: pytest.MonkeyPatch) -> None:
    """And an owner that does: whoever writes next takes the lane from the other."""
    patch.setattr("router.rescue.FENCED_PAUSE_S", 0.0)
    patch.setattr("backbone.reader.FENCED_PAUSE_HEARTBEATS", 0)


_PLANTS = (
    one_transactional_id_a_process,
    the_offset_read_before_the_fence,
    the_producer_kept_after_a_doubtful_commit,
    auto_commit,
    send_futures_not_awaited,
    in_the_model.the_bitmap_not_written,
    in_the_model.a_result_published_before_an_earlier_one_of_its_key,
    in_the_model.a_watermark_that_waits_for_markers,
    a_fenced_rescuer_that_claims_again_at_once,
    in_the_model.its_own_record_taken_for_a_repeat,
    no_committed_offset_taken_as_earliest,
)
PLANTS: Mapping[str, Plant] = {plant.__name__: plant for plant in _PLANTS}


def main(name: str, room: str) -> None:
    """Run this room with this mistake in it."""
    PLANTS[name](pytest.MonkeyPatch())
    sys.argv = [room]
    runpy.run_module(room, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
