"""Where a record lies in Kafka: the identity that the whole pipeline counts by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A record's topic, partition and offset; written `contexts/3/17` in headers, ids and logs."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Source:
        """The source that `text` names; ValueError, naming the form, where it names none."""
        parts = text.rsplit("/", 2)
        if len(parts) != 3 or not parts[0] or not parts[1].isdecimal() or not parts[2].isdecimal():
            raise ValueError(f"{text!r} is not topic/partition/offset")
        return cls(parts[0], int(parts[1]), int(parts[2]))
