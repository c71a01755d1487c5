"""A write to a connection that is closed raises what the client library knows how to handle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.produce import ProduceRequest

from backbone import closed_connection

pytestmark = pytest.mark.unit


async def write_after_the_end(send: Callable[..., Any]) -> tuple[AIOKafkaConnection, Exception | None]:
    """A connection whose transport is gone, and what came of writing to it nevertheless."""
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) as server:
        connection = AIOKafkaConnection("127.0.0.1", server.sockets[0].getsockname()[1])
        connection._reader, connection._writer = await asyncio.open_connection(connection.host, connection.port)
        connection._read_task = asyncio.ensure_future(connection._reader.read())
        await connection._read_task
        connection._writer.transport.abort()
        await asyncio.sleep(0.01)  # the loop closes the transport
        try:
            send(connection, ApiVersionRequest())
        except Exception as error:
            return connection, error
    return connection, None


def test_it_is_a_broken_connection_which_is_given_up() -> None:
    closed_connection.install()
    connection, error = uvloop.run(write_after_the_end(AIOKafkaConnection.send))
    assert isinstance(error, KafkaConnectionError), error
    assert not connection.connected()


def test_the_library_by_itself_still_does_not() -> None:
    """When this fails, `backbone/closed_connection.py` has nothing left to do."""
    _, error = uvloop.run(write_after_the_end(closed_connection._WRITING["send"]))
    assert isinstance(error, RuntimeError), error
    assert "the handler is closed" in str(error)


@pytest.mark.parametrize(("versions", "raised"), [({}, IncompatibleBrokerVersion), ({0: (99, 99)}, NotImplementedError)])
def test_what_the_library_refuses_by_itself_breaks_no_connection(versions: dict[int, Any], raised: type[Exception]) -> None:
    """Its errors are RuntimeErrors, too: a request that no broker takes would be tried for ever, and end others' with it."""

    async def refused() -> None:
        connection = AIOKafkaConnection("127.0.0.1", 9)
        connection._reader, connection._writer, connection._versions = asyncio.StreamReader(), Mock(), versions
        connection._read_task = asyncio.ensure_future(asyncio.sleep(0))
        with pytest.raises(raised):
            connection.send(ProduceRequest(None, 1, 1, []))
        assert connection.connected()
        connection.close()

    closed_connection.install()
    uvloop.run(refused())
