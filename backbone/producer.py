"""A transactional producer of its own, small because a lane asks little of it: one transaction at a time, no retry, no buffer.

Every step is a request that is answered before the next is sent, so that what is known of a transaction is always plain. Any
error but "not yet" is the caller's doubt: this producer is thrown away, and the next one with its id fences it and ends what it
left open. What a library's producer does in its background (retries, reordering, a sender's task) is what made doubts hard to
reason about; see ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    IncompatibleBrokerVersion,
    KafkaError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    ProducerFenced,
    for_code,
)
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from backbone.clients import STOP_S_MAX, connection
from backbone.errors import Fatal
from backbone.keys import partition_of
from backbone.settings import Settings
from backbone.transaction_requests import End, OffsetCommit, Produce
from schemas.record import Output

# A batch of records for one partition, up to this; a single larger record is a batch of its own. Below the broker's limit.
BATCH_BYTES_MAX = 256 << 10
# After its end a transaction's markers are still being written, and the next one is told so. The caller's clock bounds it.
NOT_YET_PAUSE_S = 0.002
END_PAUSE_S = 0.01  # while the transaction that another one left open is being ended
MOVE_PAUSE_S = 0.1  # while a coordinator is being moved, or started
CONCURRENT_TRANSACTIONS = ConcurrentTransactions.errno
FENCED = frozenset({47, 90})  # INVALID_PRODUCER_EPOCH, PRODUCER_FENCED
RECORD_FORMAT, NO_COMPRESSION, TRANSACTIONAL = 2, 0, 1

Batches = Mapping[TopicPartition, bytes]


class TransactionalProducer:
    """A lane's pen. `start` takes it from whoever had it; then `produce`, `commit_offset`, `end`, and again."""

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self._id, self._settings = transactional_id, settings
        self.client = AIOKafkaClient(**connection(settings))
        self._producer = (-1, -1)  # id and epoch; a new epoch after every transaction
        self._coordinator = -1
        self._group_coordinators: dict[str, int] = {}
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Fence whoever had this id; what it left open is aborted. Waits for that, so the caller bounds it."""
        await self.client.bootstrap()
        if not self.client.cluster.brokers():
            raise NodeNotReadyError("the broker knows no broker yet, itself included")  # it has just started, or slept
        timeout_ms = int(self._settings.transaction_timeout_s * 1000)

        async def initialise() -> Any:
            self._coordinator = await self.client.coordinator_lookup(CoordinationType.TRANSACTION, self._id)
            answer = await self._ask(self._coordinator, InitProducerIdRequest(self._id, timeout_ms))
            raise_for(answer.error_code, f"start of {self._id}")
            return answer

        answer = await _until_ready(initialise)
        self._producer = answer.producer_id, answer.producer_epoch

    async def produce(self, outputs: Iterable[Output]) -> int:
        """Write these into the transaction; answers the newest log time, epoch ms. Once a transaction.

        A batch for each partition goes out at a time, and all are answered before the next ones are sent.
        """
        newest_ms = 0
        for batches in await self._batches(outputs):
            by_leader: dict[int, dict[TopicPartition, bytes]] = defaultdict(dict)
            for place, batch in batches.items():
                by_leader[self._leader(place)][place] = batch
            newest_ms = max(newest_ms, await self._write_to_all(by_leader))
        return newest_ms or int(time.time() * 1000)

    async def commit_offset(self, group: str, at: TopicPartition, offset: int, metadata: str) -> None:
        """Move the group's offset with the transaction."""
        if group not in self._group_coordinators:
            look_up = self.client.coordinator_lookup
            self._group_coordinators[group] = int(await _until_ready(lambda: look_up(CoordinationType.GROUP, group)))
        asked = OffsetCommit(self._id, self._producer, group, (at.topic, at.partition), offset, metadata)
        while True:
            answer = await self._ask(self._group_coordinators[group], asked)
            error = answer.topics[0][1][0][1]
            if error != CONCURRENT_TRANSACTIONS:
                return raise_for(error, f"offset of {group} on {at}")
            await asyncio.sleep(NOT_YET_PAUSE_S)

    async def end(self, *, commit: bool) -> None:
        """Commit or abort what was written since the last end."""
        asked = End(self._id, self._producer, commit)
        answer = await self._ask(self._coordinator, asked)
        while answer.error_code == CONCURRENT_TRANSACTIONS:  # nothing was done: somebody fences us, and soon that is said
            await asyncio.sleep(NOT_YET_PAUSE_S)
            answer = await self._ask(self._coordinator, asked)
        raise_for(answer.error_code, f"end of a transaction of {self._id}")
        self._producer = answer.producer_id, answer.producer_epoch

    async def close(self) -> None:
        """Let go, at most 3 s. A transaction that is open is ended by the next start under this id, or by its time-out."""
        await asyncio.wait([asyncio.ensure_future(self.client.close())], timeout=STOP_S_MAX)

    # -- requests ---------------------------------------------------------------------------------------------------

    async def _ask(self, node: int, request: Any, group: ConnectionGroup = ConnectionGroup.COORDINATION) -> Any:
        try:
            return await self.client.send(node, request, group=group)
        except (NotImplementedError, IncompatibleBrokerVersion) as error:
            raise Fatal(f"the broker at {self._settings.kafka_bootstrap} is too old: Kafka 4.0 or later is needed") from error

    async def _write_to_all(self, by_leader: Mapping[int, Batches]) -> int:
        writing = [asyncio.create_task(self._write(*each)) for each in by_leader.items()]
        try:
            return max(await asyncio.gather(*writing))
        finally:
            for each in writing:  # where one failed, no other goes on
                each.cancel()

    async def _write(self, leader: int, batches: Batches) -> int:
        left, newest_ms = dict(batches), 0
        while left:
            by_topic: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
            for place, batch in left.items():
                by_topic[place.topic].append((place.partition, batch))
            request = Produce(self._id, int(self._settings.request_timeout_s * 1000), by_topic)
            answer = await self._ask(leader, request, ConnectionGroup.DEFAULT)
            for topic, partitions, _ in answer.responses:
                for partition, error, _, log_ms, *_ in partitions:
                    if error != CONCURRENT_TRANSACTIONS:
                        raise_for(error, f"write to {topic}/{partition}")
                        del left[TopicPartition(topic, partition)]
                        newest_ms = max(newest_ms, log_ms)
            if left:
                await asyncio.sleep(NOT_YET_PAUSE_S)
        return newest_ms

    # -- batches ----------------------------------------------------------------------------------------------------

    async def _batches(self, outputs: Iterable[Output]) -> Sequence[Batches]:
        """What to send: in each round at most one batch for a partition, as the protocol wants it."""
        open_: dict[TopicPartition, list[_Batch]] = defaultdict(list)
        now_ms = int(time.time() * 1000)
        for output in outputs:
            place = await self._place(output)
            batches = open_[place]
            if not batches or not batches[-1].add(output, now_ms):
                batches.append(_Batch(self._producer, base_sequence=sum(each.records for each in batches)))
                batches[-1].add(output, now_ms)
        rounds = max(map(len, open_.values()), default=0)
        return [{place: each[n].build() for place, each in open_.items() if n < len(each)} for n in range(rounds)]

    async def _place(self, output: Output) -> TopicPartition:
        count = self._partitions.get(output.topic)
        if count is None:
            count = self._partitions[output.topic] = len(await self.client._wait_on_metadata(output.topic))
        # Only a dead letter may have no key; it is in no order, and one partition is as good as another.
        return TopicPartition(output.topic, 0 if output.key is None else partition_of(output.key, count))

    def _leader(self, place: TopicPartition) -> int:
        leader = self.client.cluster.leader_for_partition(place)
        if leader is None or leader == -1:
            raise LeaderNotAvailableError(f"{place} has no leader now")
        return int(leader)


class _Batch:
    def __init__(self, producer: tuple[int, int], base_sequence: int) -> None:
        self._builder = DefaultRecordBatchBuilder(
            RECORD_FORMAT, NO_COMPRESSION, TRANSACTIONAL, *producer, base_sequence, BATCH_BYTES_MAX
        )
        self.records = 0

    def add(self, output: Output, now_ms: int) -> bool:
        """Take it in; False where it no longer fits."""
        value = None if output.tombstone else output.value
        if self._builder.append(self.records, now_ms, output.key, value, list(output.headers)) is None:
            return False
        self.records += 1
        return True

    def build(self) -> bytes:
        return bytes(self._builder.build())


def raise_for(error_code: int, what: str) -> None:
    """Nothing for 0; else ProducerFenced, or the KafkaError of this code, saying what it was about."""
    if error_code in FENCED:
        raise ProducerFenced(f"{what}: there is a newer producer with this id, or the transaction took too long")
    if error_code:
        raise for_code(error_code)(f"{what}: error {error_code}")


async def _until_ready(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, asked for again while a coordinator is not up or still ends an earlier transaction."""
    while True:
        try:
            return await ask()
        except ConcurrentTransactions:
            await asyncio.sleep(END_PAUSE_S)
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(MOVE_PAUSE_S)
