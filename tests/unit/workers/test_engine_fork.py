"""A forked engine core has none of its parent's connections, and keeps everything else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.engine_fork import cut_off_forks

pytestmark = pytest.mark.unit


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def in_child(descriptor: int) -> str:
    """What this descriptor leads to in a process forked now."""
    read, write = os.pipe()
    if not (pid := os.fork()):
        os.write(write, str(Path(f"/proc/self/fd/{descriptor}").readlink()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as told:
        return told.read()


def test_a_core_forked_by_the_engine_has_no_connection_of_ours(listening: socket.socket) -> None:
    with cut_off_forks():
        assert in_child(listening.fileno()) == os.devnull
    assert listening.getsockname()[1] > 0


def test_other_forks_and_other_descriptors_are_left_alone(listening: socket.socket) -> None:
    assert in_child(listening.fileno()).startswith("socket:")
    with cut_off_forks():
        pair = socket.socketpair()
        assert in_child(pair[0].fileno()).startswith("socket:")
        for end in pair:
            end.close()
