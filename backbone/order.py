"""Which finished results of a lane may go out: those of one key in the order of their records. Pure."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyOrder(Generic[T]):
    """Holds a result until every earlier record of its key is out; between keys nothing waits."""

    def __init__(self) -> None:
        self._line: dict[bytes, deque[int]] = {}
        self._held: dict[int, T] = {}

    def __len__(self) -> int:
        """How many results are held back."""
        return len(self._held)

    def deliver(self, key: bytes, offset: int) -> None:
        """A record of this key was taken; offsets of a key rise."""
        self._line.setdefault(key, deque()).append(offset)

    def finish(self, key: bytes, offset: int, result: T) -> list[T]:
        """What may go out now that this record has its result: nothing, it, or it and those that waited for it."""
        self._held[offset] = result
        return self._release(key)

    def leave(self, key: bytes, offset: int) -> list[T]:
        """This record ends without waiting (or ends its waiting): what may go out because of it."""
        self._held.pop(offset, None)
        line = self._line[key]
        line.remove(offset)
        return self._release(key)

    def replace(self, offset: int, result: T) -> None:
        """The result that waits for this record is another one now, in the same place."""
        self._held[offset] = result

    def held(self) -> list[tuple[int, T]]:
        """The results that wait for an earlier record of their key, by offset."""
        return list(self._held.items())

    def _release(self, key: bytes) -> list[T]:
        line, out = self._line.get(key), []
        while line and line[0] in self._held:
            out.append(self._held.pop(line.popleft()))
        if line is not None and not line:
            del self._line[key]
        return out
