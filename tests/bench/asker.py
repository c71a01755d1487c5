"""Asks an OpenAI-compatible server, and times each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from deploy.local.ports import HOST
from tests.bench import peer_litellm
from tests.bench.contexts import Message
from tests.bench.load import Offered

ANSWER_S_MAX = 5.0  # as long as an answer over Kafka is waited for


class Asker:
    """Chat completions over kept connections, by hand: a client library would cost as much as what is measured."""

    def __init__(self, port: int, body: Callable[[Message], bytes], heard: Callable[[bytes], None] = lambda answer: None) -> None:
        self._port, self._body, self._heard = port, body, heard

    async def offer_closed(self, questions: Sequence[Message], in_flight: int) -> Offered:
        """Ask these so many at once. AssertionError at any answer but 200, TimeoutError where none comes."""
        began_s, left, took_ms = time.perf_counter(), iter(questions), []

        async def ask() -> None:
            reader, writer = await asyncio.open_connection(HOST, self._port)
            for each in left:
                at_s = time.perf_counter()
                async with asyncio.timeout(ANSWER_S_MAX):
                    writer.write(_request(self._body(each), self._port))
                    self._heard(await _answered(reader))
                took_ms.append((time.perf_counter() - at_s) * 1000)
            writer.close()

        await asyncio.gather(*(ask() for _ in range(in_flight)))
        return Offered(len(questions), tuple(took_ms), time.perf_counter() - began_s)


def _request(body: bytes, port: int) -> bytes:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer {peer_litellm.KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _answered(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    assert head.startswith(b"http/1.1 200"), (head + body)[:2000]
    return body
