"""A wire between Kafka and its clients that is slow, breaks, and holds back single requests or replies until they do harm.

What PyPI has (clients of toxiproxy) drives a proxy that knows bytes and no requests: it cannot hold back the reply to one request
and let the rest through. This one takes each message's length and header, and whose lane it is, and no more of the protocol.
A broker must advertise this port to whoever is to come this way: `tests/support/kafka.py: ProxiedBroker`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from deploy.local.ports import HOST

JOIN_GROUP, INIT_PRODUCER_ID, END_TXN, TXN_OFFSET_COMMIT = 11, 22, 26, 28
# Requests whose first field is a transactional id, and the version from which on its length is packed into one byte.
OF_A_LANE = {INIT_PRODUCER_ID: 2, END_TXN: 3, TXN_OFFSET_COMMIT: 3}
MESSAGES_MAX = 256  # on their way at once, one way of one connection
CONNECT_S_MAX = 5.0
HELD_S_MAX = 60.0
STOP_S_MAX = 10.0
Way = Literal["request", "reply"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a request's header says, and whose it is, where it belongs to a lane."""

    api_key: int
    correlation_id: int
    transactional_id: str | None = None

    @classmethod
    def parse(cls, message: bytes) -> Request:
        """The request that this message is."""
        api_key, version, correlation_id, client_id_length = struct.unpack_from(">hhih", message)
        packed_from = OF_A_LANE.get(api_key)
        if packed_from is None:
            return cls(api_key, correlation_id)
        at = 10 + max(0, client_id_length)
        if version >= packed_from:  # behind the header's tags, of which there are none
            length, at = message[at + 1] - 1, at + 2
        else:
            length, at = struct.unpack_from(">h", message, at)[0], at + 2
        return cls(api_key, correlation_id, message[at : at + length].decode() if length > 0 else None)


class _Side:
    """One way of one connection: messages go on in their order, each so long after it came."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MESSAGES_MAX)

    async def take(self, message: bytes, delay_s: float) -> None:
        await self._queue.put((asyncio.get_running_loop().time() + delay_s, message))

    async def run(self) -> None:
        while True:
            due_s, message = await self._queue.get()
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
            self.push(message)
            await self._writer.drain()

    def push(self, message: bytes) -> bool:
        """On with it, whatever waits; False where nobody is there to take it."""
        if self._writer.is_closing():
            return False
        self._writer.write(struct.pack(">i", len(message)) + message)
        return True


@dataclass(slots=True)
class _Link:
    """One client's connection. `waited_for`: requests whose replies are to be held back, by correlation id."""

    to_broker: _Side
    to_client: _Side
    waited_for: dict[int, Request] = field(default_factory=dict)
    requests_held: int = 0
    nothing_held: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self, requests_held: int) -> None:
        self.requests_held += requests_held
        (self.nothing_held.clear if self.requests_held else self.nothing_held.set)()


@dataclass(frozen=True, slots=True)
class _Held:
    request: Request
    way: Way
    message: bytes
    link: _Link


class Proxy:
    """One such wire, on a thread of its own: it goes on while a test waits. Its numbers may be read at any time."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target_port = port, target_port
        self.delay_s = 0.0  # each way
        self.hold: Callable[[Request], Way | None] = lambda _request: None
        self.requests: Counter[int] = Counter()  # by api key
        self.starts: Counter[str] = Counter()  # of producers, by transactional id
        self.held: Counter[Way] = Counter()
        self.released: Counter[Way] = Counter()  # of them, those for which somebody was still there
        self.broken = 0  # connections
        self._holding: list[_Held] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"proxy {port}", daemon=True)

    @property
    def bootstrap(self) -> str:
        """Where clients connect, as host:port."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Serve, from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and every connection through it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S_MAX)

    def reset(self) -> None:
        """Break every connection at once (RST)."""
        self._loop.call_soon_threadsafe(self._reset)

    # -- on its thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, self.port))
        self._loop.run_forever()
        server.close()
        self._reset()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _reset(self) -> None:
        self.broken += len(self._writers) // 2
        for writer in self._writers:
            wire: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                up_reader, up_writer = await asyncio.open_connection(HOST, self._target_port)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        link = _Link(_Side(up_writer), _Side(writer))
        link.count(0)
        running = (self._requests(reader, link), self._replies(up_reader, link), link.to_broker.run(), link.to_client.run())
        tasks = [asyncio.ensure_future(each) for each in running]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            writer.close()
            with suppress(TimeoutError):  # a request that is held back goes on also when its client has gone
                await asyncio.wait_for(link.nothing_held.wait(), HELD_S_MAX)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()
            up_writer.close()
            self._writers -= {writer, up_writer}

    async def _requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        async for message in _messages(reader):
            request = Request.parse(message)
            self.requests[request.api_key] += 1
            if request.api_key == INIT_PRODUCER_ID and request.transactional_id is not None:
                self.starts[request.transactional_id] += 1
            way = self.hold(request)
            if way == "reply":
                link.waited_for[request.correlation_id] = request
            if way == "request":
                link.count(+1)
                self._keep(_Held(request, "request", message, link))
            else:
                await link.to_broker.take(message, self.delay_s)
            if request.api_key == TXN_OFFSET_COMMIT:
                self._release(request.transactional_id)

    async def _replies(self, reader: asyncio.StreamReader, link: _Link) -> None:
        async for message in _messages(reader):
            request = link.waited_for.pop(struct.unpack_from(">i", message)[0], None)
            if request is None:
                await link.to_client.take(message, self.delay_s)
            else:
                self._keep(_Held(request, "reply", message, link))

    def _keep(self, held: _Held) -> None:
        self._holding.append(held)
        self.held[held.way] += 1

    def _release(self, transactional_id: str | None) -> None:
        """The lane has written again, and moves its mark: what was held back of it does the greatest harm now."""
        for held in [each for each in self._holding if each.request.transactional_id == transactional_id]:
            self._holding.remove(held)
            side = held.link.to_broker if held.way == "request" else held.link.to_client
            self.released[held.way] += side.push(held.message)
            held.link.count(-(held.way == "request"))


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            (length,) = struct.unpack(">i", await reader.readexactly(4))
            yield await reader.readexactly(length)
