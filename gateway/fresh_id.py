"""A context id for who brought none: unique, and in the order of time."""

from __future__ import annotations

from uuid import UUID

RANDOM_BITS = 74


def uuid7(now_ms: int, random: int) -> str:
    """The UUID of version 7 (RFC 9562) for this instant and these 74 random bits."""
    version, variant = 0x7 << 76, 0b10 << 62
    high, low = random >> 62 & 0xFFF, random & (1 << 62) - 1
    return str(UUID(int=(now_ms & (1 << 48) - 1) << 80 | version | high << 64 | variant | low))
