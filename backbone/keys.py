"""Which partition a key belongs in: murmur2, as Java's clients and aiokafka have it."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition, of so many, that a producer which partitions as the contract says sends this key to."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
