"""Which ports a stack listens on, all on 127.0.0.1, and whether they are free."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.errors import MachineError, PortTakenError

HOST = "127.0.0.1"
# Below what Linux hands out to outgoing connections (32,768 on), so that a port found free stays free.
FREE_PORTS = range(20_000, 32_000)
FREE_TRIES_MAX = 200


@dataclass(frozen=True, slots=True)
class Ports:
    """One port for each server of a stack; `http` is the first of a run, one for each router and worker."""

    kafka: int = 9092
    controller: int = 9093
    redis: int = 6379
    gateway: int = 8080
    http: int = 8081

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Ports:
        """The ports that KAFKA_PORT, CONTROLLER_PORT, REDIS_PORT, GATEWAY_PORT, HTTP_PORT name, else the usual ones."""
        named = {name: environment.get(variable, "") for name, variable in VARIABLES.items()}
        return cls(**{name: _port(VARIABLES[name], text) for name, text in named.items() if text})

    @classmethod
    def free(cls, processes: int = 8) -> Ports:
        """Ports that nobody listens on now, with room for that many routers and workers."""
        kafka, controller, redis, gateway = (free_port() for _ in range(4))
        return cls(kafka, controller, redis, gateway, free_port(processes))


VARIABLES = {
    "kafka": "KAFKA_PORT",
    "controller": "CONTROLLER_PORT",
    "redis": "REDIS_PORT",
    "gateway": "GATEWAY_PORT",
    "http": "HTTP_PORT",
}


def free_port(run: int = 1) -> int:
    """The first of `run` neighbouring ports that nobody listens on. Raises MachineError after 200 tries."""
    for _ in range(FREE_TRIES_MAX):
        first = random.randrange(FREE_PORTS.start, FREE_PORTS.stop - run)
        if all(is_free(port) for port in range(first, first + run)):
            return first
    raise MachineError(f"found no {run} free neighbouring ports between {FREE_PORTS.start} and {FREE_PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def check_free(wanted: Mapping[int, tuple[str, str]]) -> None:
    """Nothing, if every port (to: user, variable that moves it) is free. Raises PortTakenError naming the others."""
    taken = [
        f"port {port} ({user}) is taken: set {variable} to another, for example {variable}={free_port()}"
        for port, (user, variable) in wanted.items()
        if not is_free(port)
    ]
    if taken:
        raise PortTakenError("\n".join(taken))


def _port(variable: str, text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65_000:
        raise MachineError(f"{variable}={text} is no port: give a number from 1024 to 65000")
    return int(text)
