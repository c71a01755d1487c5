"""A real Redis for tests: started, killed, started again, flushed."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local.ports import HOST, free_port
from deploy.local.ready import Probe
from deploy.local.redis_node import RedisNode
from tests.support.processes import Running, start


class RedisServer:
    """One Redis on a port of its own; it keeps nothing over its end."""

    def __init__(self, folder: Path, also: str | None = None) -> None:
        self.node = RedisNode(free_port(), folder)
        # Without a password it talks to this machine alone, unless it is told that another wire is ours, too.
        self._more = () if also is None else ("--bind", HOST, also, "--protected-mode", "no")
        self._process: Running | None = None

    @classmethod
    def start(cls, folder: Path) -> RedisServer:
        """A server that is up."""
        server = cls(folder)
        server.start_again()
        return server

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.node.port

    @property
    def url(self) -> str:
        """Where clients connect, as TRADING_LLM_REDIS_URL has it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> Running:
        """Its process."""
        assert self._process is not None, "Redis is not up"
        return self._process

    def start_again(self) -> None:
        """Up, on the same port, empty."""
        self.node.prepare()
        self._process = start("redis", (*self.node.command(), *self._more), {}, Probe("redis", self.port), self.node.folder)
        self._process.wait_ready(15)

    def kill(self) -> None:
        """kill -9."""
        self.process.end()
        self._process = None

    def stop(self) -> None:
        """Its end; nothing if it is not up."""
        if self._process is not None:
            self.kill()

    def flush(self) -> int:
        """Forget everything; how many keys that were."""
        keys = int(self._asked(b"DBSIZE")[1:])
        assert self._asked(b"FLUSHALL") == b"+OK"
        return keys

    def pause(self, ms: int) -> None:
        """Take what is asked, and answer nobody for so long."""
        assert self._asked(b"CLIENT PAUSE %d ALL" % ms) == b"+OK"

    def _asked(self, command: bytes) -> bytes:
        with socket.create_connection((HOST, self.port), 5) as wire:
            wire.sendall(command + b"\r\n")
            return wire.makefile("rb").readline().rstrip()
