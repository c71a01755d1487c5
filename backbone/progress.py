"""Which offsets of a lane have an outcome, and how that is written beside its committed offset. Pure.

A record is *delivered*, then *finished*. The mark that a transaction commits says everything: its offset is the lowest one
delivered and not finished, or, if there is none, the reader's position, moved past what is finished there already; its bitmap
says what is finished above it. An offset that is never delivered (a transaction marker, an aborted or deleted record) was
passed by the position without being delivered, so it counts as finished, here and in the bitmap.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from dataclasses import dataclass

# 4,096 bits are 512 bytes, 640 characters in base85: below the broker's 4,096 bytes of offset metadata.
WINDOW_OFFSETS = 4_096


@dataclass(frozen=True, slots=True)
class Mark:
    """What is committed of a lane: everything below `offset` is finished, and so is `ahead`, above it.

    `claims` counts the owners that took the lane up and died before the first record they took up was finished.
    """

    offset: int
    ahead: frozenset[int] = frozenset()
    claims: int = 0

    def metadata(self) -> str:
        """The mark's metadata, `b1:<claims>:<base85>`; bit i stands for `offset + 1 + i`. At most 660 characters."""
        bits = 0
        for offset in self.ahead:
            bits |= 1 << (offset - self.offset - 1)
        packed = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        return f"b1:{self.claims}:{base64.b85encode(packed).decode()}"

    @classmethod
    def parse(cls, offset: int, metadata: str) -> Mark:
        """The mark committed so; ValueError where the metadata is of another form. Empty metadata: nothing ahead."""
        if not metadata:
            return cls(offset)
        form, claims, text = metadata.split(":", 2)
        if form != "b1":
            raise ValueError(f"offset metadata {metadata[:20]!r} is not of the form b1:<claims>:<base85>")
        bits = int.from_bytes(base64.b85decode(text), "little")
        ahead = (offset + 1 + i for i in range(bits.bit_length()) if bits >> i & 1)
        return cls(offset, frozenset(ahead), int(claims))


class Progress:
    """The state of one claim of a lane: its position, and what is delivered and not finished."""

    def __init__(self, mark: Mark) -> None:
        self.position = mark.offset
        self._ahead = set(mark.ahead)
        self._open: dict[int, None] = {}  # offsets rise as they are delivered, so the first one is the lowest

    @property
    def unfinished(self) -> int:
        """How many records are delivered and not finished."""
        return len(self._open)

    @property
    def lowest(self) -> int:
        """The offset that a commit carries."""
        return next(iter(self._open), self._beyond)

    @property
    def _beyond(self) -> int:
        # What an earlier claim finished and we have not come to yet may begin at our position, and the bitmap has no bit for
        # the mark's own offset: the mark goes past it, or it would be delivered, and decided, a second time.
        offset = self.position
        while offset in self._ahead:
            offset += 1
        return offset

    def fits(self, offset: int) -> bool:
        """Whether this offset may be delivered now: the bitmap must be able to say that it is finished."""
        return not self._open or offset - self.lowest <= WINDOW_OFFSETS

    def deliver(self, offset: int) -> bool:
        """Take the next record; False if it was finished by an earlier claim and must not be asked again."""
        if offset < self.position:
            raise ValueError(f"offset {offset} was delivered out of order, behind position {self.position}")
        self.position = offset + 1
        if offset in self._ahead:
            self._ahead.discard(offset)
            return False
        self._open[offset] = None
        return True

    def pass_by(self, position: int) -> None:
        """The reader stands at `position`: what lies before it and was not delivered never will be."""
        self.position = max(self.position, position)

    def finish(self, offsets: Collection[int]) -> None:
        """These records have outcomes, committed."""
        for offset in offsets:
            del self._open[offset]
        self._ahead = {offset for offset in self._ahead if offset >= self.position}

    def mark(self, finishing: Collection[int] = (), claims: int = 0) -> Mark:
        """What to commit together with the outcomes of `finishing`."""
        left = [offset for offset in self._open if offset not in finishing] if finishing else list(self._open)
        offset = left[0] if left else self._beyond
        ahead = {each for each in self._ahead if each > offset}
        if left:
            ahead.update(set(range(offset + 1, self.position)).difference(left))
        return Mark(offset, frozenset(each for each in ahead if each - offset <= WINDOW_OFFSETS), claims)
