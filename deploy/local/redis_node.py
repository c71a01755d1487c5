"""A Redis that keeps nothing: heartbeats and a cache, which may be wiped at any time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import MissingError
from deploy.local.ports import HOST


@dataclass(frozen=True, slots=True)
class RedisNode:
    """Where one Redis listens; it writes nothing to its folder."""

    port: int
    folder: Path

    def prepare(self) -> None:
        """Make its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> tuple[str, ...]:
        """What to execute; it stays in the foreground. Raises MissingError."""
        program = shutil.which("redis-server")
        if program is None:
            raise MissingError("the program `redis-server` is not there: run `make setup`")
        listen = ("--bind", HOST, "--port", str(self.port), "--dir", str(self.folder))
        # All that is kept there expires, so what is nearest its end goes first when 256 MB are full.
        keep = ("--save", "", "--appendonly", "no", "--maxmemory", "256mb", "--maxmemory-policy", "volatile-ttl")
        return (program, *listen, *keep, "--loglevel", "warning")
