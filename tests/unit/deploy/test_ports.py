"""Ports: from the environment, free ones, and what is said of a taken one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from deploy.local.errors import MachineError, PortTakenError
from deploy.local.ports import Ports, check_free, free_port, is_free

pytestmark = pytest.mark.unit


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_ports_are_the_usual_ones_unless_a_variable_moves_them() -> None:
    assert Ports.from_environment({}) == Ports(9092, 9093, 6379, 8080, 8081)
    assert Ports.from_environment({"REDIS_PORT": "7000", "KAFKA_PORT": ""}) == Ports(redis=7000)


@pytest.mark.parametrize("text", ["kafka", "80", "70000", "-1", "9092.0"])
def test_what_is_no_port_is_refused_by_the_name_of_its_variable(text: str) -> None:
    with pytest.raises(MachineError, match="KAFKA_PORT"):
        Ports.from_environment({"KAFKA_PORT": text})


def test_a_taken_port_is_named_with_its_user_and_the_variable_that_moves_it(taken: int) -> None:
    with pytest.raises(PortTakenError, match=rf"port {taken} \(redis\) is taken: set REDIS_PORT"):
        check_free({taken: ("redis", "REDIS_PORT"), free_port(): ("kafka", "KAFKA_PORT")})


def test_free_ports_are_free_and_differ() -> None:
    ports = Ports.free(processes=5)
    numbers = [ports.kafka, ports.controller, ports.redis, ports.gateway, *range(ports.http, ports.http + 5)]
    assert all(is_free(port) for port in numbers)
    assert len(set(numbers)) == len(numbers)


def test_a_port_that_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)
