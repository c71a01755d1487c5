"""A request's body, bounded while it streams in: by its size, its type and the time it takes."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from gateway.problems import Problem, broken
from schemas.size import VALUE_BYTES_MAX

READ_S_MAX = 10.0  # a client that trickles its body holds a connection no longer


async def read_body(request: Request) -> bytes:
    """The whole body. Raises Problem: 415 where it is not JSON by its type, 413 beyond 256 KiB, 400 where it does not come."""
    media_type = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media_type != "application/json":
        raise broken(415, "Content-Type", "must be application/json")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > VALUE_BYTES_MAX:
        raise _too_large()
    try:
        async with asyncio.timeout(READ_S_MAX):
            return await _read(request)
    except TimeoutError:
        raise broken(400, "body", f"must arrive within {READ_S_MAX:.0f} s") from None
    except ClientDisconnect:
        raise broken(400, "body", "must arrive whole") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > VALUE_BYTES_MAX:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    error = broken(413, "body", f"must have at most {VALUE_BYTES_MAX} bytes")
    # What is left of the body is not read: the connection cannot be used again.
    return Problem(error.details, {"Connection": "close"})
