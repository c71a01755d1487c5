"""Makes supervisord look at its processes again as soon as one has changed. An extension that supervisord itself loads.

Its loop comes round when a process says something, and else once a second; it starts processes first and then buries the dead,
so that one that died in silence was started again a second later. Here whatever becomes of a process brings one more round.
"""

from __future__ import annotations

import signal
import socket

from supervisor import events
from supervisor.medusa.asyncore_25 import dispatcher


class _Waker(dispatcher):
    """A socket among those that the loop waits for; a byte in it is a round."""

    def __init__(self) -> None:
        reading, self._writing = socket.socketpair()
        super().__init__(reading)
        self._writing.setblocking(False)
        # Python writes a byte for every signal: a death, also of a process whose output is still held open by another one.
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        events.subscribe(events.ProcessStateEvent, self._changed)

    def writable(self) -> bool:
        """Never of interest."""
        return False

    def handle_read(self) -> None:
        """The round is under way."""
        self.recv(4096)

    def _changed(self, _event: object) -> None:
        try:
            self._writing.send(b"\0")
        except BlockingIOError:
            return  # full: there will be a round


def wake_at_changes(_supervisord: object) -> object:
    """As supervisord asks for it (`rpcinterface`); nothing can be asked of it from outside."""
    _Waker()  # lives among the sockets of the loop
    return object()
