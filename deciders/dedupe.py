"""Which questions a partition has seen: an id is decided once, and a repeat is told from a reuse. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Protocol


class Seen(Enum):
    """What a record is to those before it."""

    FIRST = "first"
    REPEATED = "repeated"  # the same id with the same content
    REUSED = "reused"  # the same id with other content


@dataclass(frozen=True, slots=True)
class Name:
    """What a question is named by, in its partition."""

    run_id: str | None
    bot_id: str
    symbol: str
    context_id: str

    def folded(self) -> bytes:
        """16 bytes for it: two of a window of 20,000 names meet with a chance below 1e-29."""
        parts = (self.run_id or "", self.bot_id, self.symbol, self.context_id)
        return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Names(Protocol):
    """Who knows what a record is to those before it."""

    def take(self, name: Name, offset: int, content_digest: str) -> Seen:
        """What the record of this name at this offset is."""


class Dedupe:
    """The newest `window` names of one partition, each with the lowest offset that brought it.

    A record repeats only what a *lower* offset brought: a lane that is claimed again reads its own records again, and must
    not take them for repeats of themselves.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._names: OrderedDict[bytes, tuple[int, str]] = OrderedDict()
        self.covered = 0  # every record below this offset has been taken in

    @property
    def known(self) -> int:
        """How many names it holds."""
        return len(self._names)

    def take(self, name: Name, offset: int, content_digest: str) -> Seen:
        """What this record is, and from now on it is remembered."""
        self.covered = max(self.covered, offset + 1)
        folded = name.folded()
        first = self._names.get(folded)
        if first is None or first[0] >= offset:
            self._names[folded] = (offset, content_digest)
            if len(self._names) > self._window:
                self._names.popitem(last=False)
            return Seen.FIRST
        return Seen.REPEATED if first[1] == content_digest else Seen.REUSED

    def forget_from(self, offset: int) -> None:
        """Forget what this offset and later ones brought: they will be read again."""
        for name in [name for name, (at, _) in self._names.items() if at >= offset]:
            del self._names[name]
        self.covered = min(self.covered, offset)
