"""Whether a server answers, asked once and bounded."""

from __future__ import annotations

import http.client
import socket
import struct
from dataclasses import dataclass
from typing import Literal

from deploy.local.ports import HOST

ASK_S_MAX = 1.0
# Kafka's Metadata request, version 1, for no topics: api 3, version 1, correlation 0, no client id.
METADATA = struct.pack(">hhihi", 3, 1, 0, -1, 0)


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask a process whether it is ready."""

    speaks: Literal["http", "kafka", "redis"]
    port: int
    host: str = HOST
    path: str = "/ready"  # of what speaks HTTP

    def answers(self) -> bool:
        """Whether it is ready now. Takes at most a second or two."""
        try:
            if self.speaks == "http":
                return _http(self)
            return _kafka(self.host, self.port) if self.speaks == "kafka" else _redis(self.host, self.port)
        except (OSError, http.client.HTTPException, struct.error):
            return False


def _http(probe: Probe) -> bool:
    connection = http.client.HTTPConnection(probe.host, probe.port, timeout=ASK_S_MAX)
    try:
        connection.request("GET", probe.path)
        return connection.getresponse().status == 200
    finally:
        connection.close()


def _kafka(host: str, port: int) -> bool:
    # A broker lists itself only once it takes part: an open port says less.
    with socket.create_connection((host, port), ASK_S_MAX) as wire:
        wire.sendall(struct.pack(">i", len(METADATA)) + METADATA)
        _size, _correlation, brokers = struct.unpack(">iii", wire.recv(12, socket.MSG_WAITALL))
        return bool(brokers > 0)


def _redis(host: str, port: int) -> bool:
    with socket.create_connection((host, port), ASK_S_MAX) as wire:
        wire.sendall(b"PING\r\n")
        return wire.recv(5, socket.MSG_WAITALL) == b"+PONG"
