"""The wire between Kafka and its clients knows whose request it holds back, in the old form and in the packed one."""

from __future__ import annotations

import struct

import pytest

from tests.support.proxy import END_TXN, JOIN_GROUP, Request

pytestmark = pytest.mark.unit

CLIENT = b"aiokafka-0.14.0"
LANE = b"router.contexts.0"


def header(api_key: int, version: int) -> bytes:
    return struct.pack(">hhih", api_key, version, 17, len(CLIENT)) + CLIENT


def test_an_old_request_is_its_lanes() -> None:
    message = header(END_TXN, 2) + struct.pack(">h", len(LANE)) + LANE + b"rest"
    assert Request.parse(message) == Request(END_TXN, 17, LANE.decode())


def test_a_packed_request_is_its_lanes() -> None:
    message = header(END_TXN, 5) + b"\x00" + bytes([len(LANE) + 1]) + LANE + b"rest"
    assert Request.parse(message) == Request(END_TXN, 17, LANE.decode())


def test_another_request_is_nobodys() -> None:
    assert Request.parse(header(JOIN_GROUP, 5) + b"whatever") == Request(JOIN_GROUP, 17)


def test_a_request_without_a_transactional_id_is_nobodys() -> None:
    assert Request.parse(header(END_TXN, 2) + struct.pack(">h", -1)) == Request(END_TXN, 17)
