"""What a forked engine core must not keep from its parent: its life, and its connections.

Without this a worker that is killed leaves its engine behind, which holds the worker's sockets to Kafka open: the broker
would go on believing in a member that is dead.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
OWN_DESCRIPTORS = Path("/proc/self/fd")

_cutting = False
_registered = False


@contextlib.contextmanager
def cut_off_forks() -> Iterator[None]:
    """Processes forked within are killed when the forking thread ends, and have none of this process's TCP sockets."""
    global _cutting, _registered
    if not _registered:
        os.register_at_fork(after_in_child=_cut_off)
        _registered = True
    _cutting = True
    try:
        yield
    finally:
        _cutting = False


def _cut_off() -> None:
    if not _cutting or not OWN_DESCRIPTORS.is_dir():
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in [int(path.name) for path in OWN_DESCRIPTORS.iterdir()]:
        if _is_tcp(descriptor):
            os.dup2(nothing, descriptor)  # not closed: a number used again would be somebody else's
    os.close(nothing)


def _is_tcp(descriptor: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return copy.family in (socket.AF_INET, socket.AF_INET6)
    except OSError:  # no socket, or the descriptor that listed the folder
        return False
