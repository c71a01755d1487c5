"""What others made, each in an environment of its own below `.local/peers`, made from its lock when it is first asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.local.kafka_node import REPOSITORY

PEERS = REPOSITORY / ".local" / "peers"
LOCKS = REPOSITORY / "deploy" / "locks"
UV = REPOSITORY / ".local" / "tools" / "bin" / "uv"
INSTALL_S_MAX = 600


def environment_of(name: str) -> Path:
    """The environment of this name, whole. Raises CalledProcessError, TimeoutExpired."""
    folder, lock = PEERS / name, LOCKS / f"{name}.txt"
    made = folder / ".made"
    if made.exists() and made.read_text() == lock.read_text():
        return folder
    quiet = {"check": True, "timeout": INSTALL_S_MAX, "stdout": subprocess.DEVNULL}
    subprocess.run([UV, "venv", "-q", "--clear", "--python", "3.11", folder], **quiet)  # type: ignore[call-overload]
    sync = [UV, "pip", "sync", "-q", "--compile-bytecode", "--python", folder / "bin" / "python", "--require-hashes", lock]
    subprocess.run(sync, **quiet)  # type: ignore[call-overload]
    made.write_text(lock.read_text())
    return folder
