"""A network of its own for a process of a test, and a wire to it that can be cut (Linux: `ip netns`, a veth pair; needs root)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

COMMAND_S_MAX = 10.0


def why_not() -> str:
    """What is missing to make one; nothing where it can be made."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return "" if shutil.which("ip") else "the program `ip` (iproute2) is not there"


@dataclass(frozen=True, slots=True)
class Namespace:
    """One such network: `here` is our end of the wire, `there` the other; nobody else is on it.

    A process makes one at a time: its name and its addresses are the process's own.
    """

    @property
    def name(self) -> str:
        """Its name, and the beginning of its wire's."""
        return f"tl{os.getpid()}n"

    @property
    def here(self) -> str:
        """This end's address."""
        return f"{self._net}.1"

    @property
    def there(self) -> str:
        """The other end's address."""
        return f"{self._net}.2"

    @property
    def _net(self) -> str:
        return f"10.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that runs there."""
        return ("ip", "netns", "exec", self.name)

    def make(self) -> None:
        """Make it, with its wire whole."""
        _ip("netns", "add", self.name)
        _ip("link", "add", f"{self.name}h", "type", "veth", "peer", "name", f"{self.name}t")
        _ip("link", "set", f"{self.name}t", "netns", self.name)
        _ip("addr", "add", f"{self.here}/30", "dev", f"{self.name}h")
        _ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", f"{self.name}t")
        for inner in ("lo", f"{self.name}t"):
            _ip("-n", self.name, "link", "set", inner, "up")
        self.mend()

    def remove(self) -> None:
        """Remove what there is of it; what ran there must have ended."""
        _ip("link", "del", f"{self.name}h", must=False)
        _ip("netns", "del", self.name, must=False)

    def cut(self) -> None:
        """Nothing comes through, and nobody is told."""
        _ip("link", "set", f"{self.name}h", "down")

    def mend(self) -> None:
        """The wire is whole again."""
        _ip("link", "set", f"{self.name}h", "up")


def _ip(*arguments: str, must: bool = True) -> None:
    done = subprocess.run(("ip", *arguments), check=False, capture_output=True, text=True, timeout=COMMAND_S_MAX)
    assert not must or done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
