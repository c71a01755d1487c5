"""What a producer makes of the broker's answers to its end; all else of it is tried on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced

from backbone.producer import TransactionalProducer
from backbone.settings import Settings

pytestmark = pytest.mark.unit

CONCURRENT_TRANSACTIONS, PRODUCER_FENCED = 51, 90


class Coordinator:
    """Gives these answers, one a request, and keeps what it was asked."""

    def __init__(self, *error_codes: int) -> None:
        self._left: Iterator[int] = iter(error_codes)
        self.asked: list[Any] = []

    async def send(self, node: int, request: Any, *, group: Any) -> Any:
        self.asked.append(request)
        return SimpleNamespace(error_code=next(self._left), producer_id=7, producer_epoch=2)


def producer_at(coordinator: Coordinator) -> TransactionalProducer:
    producer = TransactionalProducer(Settings(), "worker.phi3.contexts.phi3.0")
    producer.client = coordinator  # type: ignore[assignment]
    return producer


async def test_an_end_that_meets_a_claim_is_asked_again_until_it_is_told_who_won() -> None:
    for answers in ((CONCURRENT_TRANSACTIONS, CONCURRENT_TRANSACTIONS, PRODUCER_FENCED), (PRODUCER_FENCED,)):
        coordinator = Coordinator(*answers)
        with pytest.raises(ProducerFenced):
            await producer_at(coordinator).end(commit=True)
        assert len(coordinator.asked) == len(answers)


async def test_an_end_that_is_answered_is_asked_once() -> None:
    coordinator = Coordinator(0)
    producer = producer_at(coordinator)
    await producer.end(commit=True)
    assert (len(coordinator.asked), producer._producer) == (1, (7, 2))
