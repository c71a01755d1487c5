"""A cancellation that got lost, found again."""

from __future__ import annotations

import asyncio


def heed() -> None:
    """Raise the cancellation of the running task that was requested and swallowed.

    `asyncio.wait_for` of Python 3.11 drops one that comes in the same turn of the loop as its result, and the client library
    waits so everywhere: a process that slept has many such turns when it wakes. Called before waiting for long.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
