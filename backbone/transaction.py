"""The one place that writes: a transaction's outputs and its lane's mark, together or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from backbone.errors import Doubt, Fenced
from backbone.producer import TransactionalProducer
from backbone.progress import Mark
from backbone.stops import reach
from schemas.record import Output
from schemas.result import Result

# What a client raises when a request failed, or could not be sent: from then on only the broker knows.
LOST = (KafkaError, OSError, TimeoutError)


class Writer:
    """A lane's producer, started, and the group whose offsets it moves. After a doubt it writes nothing more."""

    def __init__(self, producer: TransactionalProducer, group: str, partition: TopicPartition, doubt_s: float) -> None:
        self._producer, self._group, self._partition, self._doubt_s = producer, group, partition, doubt_s
        self._one_at_a_time = asyncio.Lock()
        self._in_doubt = False

    @property
    def busy(self) -> bool:
        """Whether a transaction is under way."""
        return self._one_at_a_time.locked()

    async def commit(self, results: Sequence[Result], mark: Callable[[], Mark], notices: Sequence[Output] = ()) -> int | None:
        """Write these results, what no record caused, and the mark; None once they are written.

        Where one of them may no longer go out as it is, nothing is written, and the log's time (epoch ms) by which that
        showed is the answer.

        1. outputs, each answered  2. the clock  3. the mark  4. end.
        All within `commit_doubt_s` seconds; else, and on any error, Doubt (Fenced): only the broker knows.
        """
        async with self._one_at_a_time:
            if self._in_doubt:  # what it left open would be committed by whatever it writes next
                raise Doubt(f"{self._partition}: what became of its last transaction is not known")
            self._in_doubt = True  # until its end is answered; a cancellation leaves it so, too
            try:
                async with asyncio.timeout(self._doubt_s):
                    refused_ms = await self._transact(results, mark, notices)
            except ProducerFenced as error:
                raise Fenced(f"{self._partition} was claimed elsewhere") from error
            except LOST as error:
                raise Doubt(f"transaction on {self._partition}: {error!r}") from error
            self._in_doubt = False
            return refused_ms

    async def _transact(self, results: Sequence[Result], mark: Callable[[], Mark], notices: Sequence[Output]) -> int | None:
        reach("lane.after_begin")
        outputs = chain((output for result in results for output in result.outputs), notices)
        log_ms = await self._producer.produce(outputs)  # 1
        reach("lane.after_produce")
        if any(r.again is not None and r.again(log_ms) is not r for r in results):  # 2
            await self._producer.end(commit=False)
            return log_ms
        at = mark()
        await self._producer.commit_offset(self._group, self._partition, at.offset, at.metadata())  # 3
        reach("lane.after_offsets")
        reach("lane.before_end")
        await self._producer.end(commit=True)  # 4
        reach("lane.after_end")
        return None
