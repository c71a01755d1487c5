"""The one place that writes: a transaction's outputs and its lane's mark, together or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from backbone.errors import Doubt, Fenced
from backbone.progress import Mark
from backbone.result import Result
from backbone.stops import reach
from schemas.record import Output

LOST = (KafkaError, AssertionError, IllegalOperation, TimeoutError)


class Writer:
    """A lane's producer, started, and the group whose offsets it moves. Never used again after Doubt."""

    def __init__(self, producer: AIOKafkaProducer, group: str, partition: TopicPartition, doubt_s: float) -> None:
        self._producer, self._group, self._partition, self._doubt_s = producer, group, partition, doubt_s
        self._one_at_a_time = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a transaction is under way."""
        return self._one_at_a_time.locked()

    async def commit(self, results: Sequence[Result], mark: Callable[[], Mark]) -> int | None:
        """Write these results and the mark; None once they are written.

        Where one of them may no longer go out as it is, nothing is written, and the log's time (epoch ms) by which that
        showed is the answer.

        1. begin  2. outputs  3. await every send  4. the clock  5. offsets  6. end.
        All within `commit_doubt_s` seconds; else, and on any error, Doubt (Fenced): only the broker knows.
        """
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._doubt_s):
                    return await self._transact(results, mark)
            except ProducerFenced as error:
                raise Fenced(f"{self._partition} was claimed elsewhere") from error
            except LOST as error:
                raise Doubt(f"transaction on {self._partition}: {error!r}") from error

    async def _transact(self, results: Sequence[Result], mark: Callable[[], Mark]) -> int | None:
        await self._producer.begin_transaction()  # 1
        reach("lane.after_begin")
        log_ms = await self._send(results)  # 2, 3
        reach("lane.after_produce")
        if any(r.again is not None and r.again(log_ms) is not r for r in results):  # 4
            await self._producer.abort_transaction()
            return log_ms
        at = mark()
        offsets = {self._partition: OffsetAndMetadata(at.offset, at.metadata())}
        await self._producer.send_offsets_to_transaction(offsets, self._group)  # 5
        reach("lane.after_offsets")
        reach("lane.before_end")
        await self._producer.commit_transaction()  # 6
        reach("lane.after_end")
        return None

    async def _send(self, results: Sequence[Result]) -> int:
        """Send all, await all (a commit goes through although a send failed); answers the newest log time, epoch ms."""
        outputs = [output for result in results for output in result.outputs]
        futures = [await self._send_one(output) for output in outputs]
        written = await asyncio.gather(*futures)
        return max((each.timestamp for each in written), default=int(time.time() * 1000))

    async def _send_one(self, output: Output) -> asyncio.Future[RecordMetadata]:
        # The client library takes no record without key and value; other clients write them.
        value = None if output.tombstone and output.key is not None else output.value
        sent: asyncio.Future[RecordMetadata] = await self._producer.send(
            output.topic, value=value, key=output.key, headers=list(output.headers)
        )
        return sent
