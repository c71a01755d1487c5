"""A router that starts anew knows the newest ids, although their records stand far apart in the log."""

from __future__ import annotations

import pytest

from backbone.keys import partition_of
from backbone.topics import CONTEXTS_PARTITIONS
from schemas.headers import REASON, header_text
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS
from tests.support import feed
from tests.support.kafka import Broker
from tests.support.stack import Pipeline
from tests.support.transactions import write_each
from tests.support.watch import watching

pytestmark = pytest.mark.broker

WINDOW = 30
IDS = 40
SMALL = {"TRADING_LLM_DEDUPE_WINDOW": str(WINDOW), "TRADING_LLM_LANE_RECORDS_MAX": "1"}


async def test_a_rebuild_goes_back_for_as_many_ids_as_the_window_holds(pipeline: Pipeline, fresh_topics: Broker) -> None:
    contexts = feed.bodies(IDS, 1, seed=1)
    partition = partition_of(feed.key_of(contexts[0]), CONTEXTS_PARTITIONS)
    async with watching(fresh_topics.bootstrap, ()) as watch:
        first = pipeline.router().wait_ready()
        records = [(feed.key_of(each), feed.value_of(each)) for each in contexts]
        await write_each(fresh_topics.bootstrap, "dedupe", records, partition)
        await watch.until(lambda: len(watch.of(CONTEXTS)) == IDS, "all are written")
        ends = {each.source.offset for each in watch.of(CONTEXTS)}
        assert max(ends) >= 2 * IDS - 2, "the ids' records do not stand apart"

        async def routed() -> bool:
            marks = await watch.marks()
            return (CONTEXTS, partition) in marks and marks[CONTEXTS, partition].offset > max(ends)

        while not await routed():
            await watch.read()
        first.kill()
        pipeline.router(env=SMALL).wait_ready()
        repeated: list[Source] = await feed.send(fresh_topics.bootstrap, [contexts[IDS - WINDOW]])
        await watch.until_answered(repeated, 20)
        letters = [header_text(each.headers, REASON) for each in watch.of(DEAD_LETTERS)]
        assert letters == ["duplicate_context_id"]
