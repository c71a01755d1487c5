"""A connection that uvloop has closed fails as any broken connection does.

uvloop raises RuntimeError from a write to a transport that it has closed; asyncio's own loop does not. aiokafka (its issue 1038)
expects OSError alone there: the task that keeps a client's view of the cluster dies of it, silently, and a client that then
needs to know who leads a partition waits for ever. `install` makes it the library's own error, once a process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

Send = Callable[..., Awaitable[Any]]


def _failing_as_others_do(send: Send) -> Send:
    def sent(self: AIOKafkaConnection, *arguments: Any, **named: Any) -> Awaitable[Any]:
        try:
            return send(self, *arguments, **named)
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # all of the library's own are RuntimeErrors, and none says a wire is broken
                raise
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error

    return sent


_WRITING = {name: getattr(AIOKafkaConnection, name) for name in ("send", "_send_sasl_token")}


def install() -> None:
    """Let every connection of this process fail so."""
    for name, send in _WRITING.items():
        setattr(AIOKafkaConnection, name, _failing_as_others_do(send))
