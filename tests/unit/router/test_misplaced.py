"""A key in a partition that is not its own is counted each time, and named now and then."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from backbone import telemetry
from backbone.keys import partition_of
from backbone.topics import CONTEXTS_PARTITIONS
from router import misplaced
from router.misplaced import Misplaced
from schemas.record import Record
from tests.unit.samples import body, record

pytestmark = pytest.mark.unit

KEY = b"momentum_bot:BTCUSDT"
OWN = partition_of(KEY, CONTEXTS_PARTITIONS)
OTHER = (OWN + 1) % CONTEXTS_PARTITIONS


def lying_in(partition: int, key: bytes | None = KEY) -> Record:
    made = record(body(), key=key)
    return replace(made, source=replace(made.source, partition=partition))


def counted() -> float:
    return float(telemetry.MISPLACED_KEYS._value.get())


def test_it_is_counted_and_named_with_its_remedy(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trading_llm")
    looks, before = Misplaced(), counted()
    for _ in range(3):
        looks.look(lying_in(OTHER))
    assert counted() - before == 3
    (line,) = caplog.messages
    assert line.startswith(f"key.misplaced src=contexts/{OTHER}/") and f"key='momentum_bot:BTCUSDT' belongs_in={OWN}" in line
    assert "murmur2" in line


def test_it_is_named_again_with_how_many_were_not(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO, "trading_llm")
    looks = Misplaced()
    looks.look(lying_in(OTHER))
    looks.look(lying_in(OTHER))
    monkeypatch.setattr(misplaced, "NAMED_EVERY_S", 0.0)
    looks.look(lying_in(OTHER))
    assert [line.partition(" unnamed=")[2][0] for line in caplog.messages] == ["0", "1"]


@pytest.mark.parametrize("sound", [lying_in(OWN), lying_in(OTHER, None), lying_in(OTHER, b"")], ids=["own", "no key", "empty"])
def test_what_lies_where_it_belongs_or_has_no_key_is_not(sound: Record) -> None:
    before = counted()
    Misplaced().look(sound)
    assert counted() == before
