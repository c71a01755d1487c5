"""The containers are told what the processes of `make up` are told."""

from __future__ import annotations

import re
import tomllib

import pytest

from deploy.local.kafka_node import REPOSITORY, SHARED_SETTINGS
from deploy.local.plan import MODELS

pytestmark = pytest.mark.unit

COMPOSE = (REPOSITORY / "docker-compose.yml").read_text()
# Sizes for a machine that also runs everything else; a container has its own.
OF_THE_MACHINE = {"num.network.threads", "num.io.threads", "log.cleaner.dedupe.buffer.size"}


def test_kafka_has_the_same_settings_in_a_container() -> None:
    written = [line.partition("=") for line in SHARED_SETTINGS.read_text().splitlines() if line and not line.startswith("#")]
    here = {name: value for name, _, value in written if name not in OF_THE_MACHINE}
    there = {
        name.lower().replace("_", "."): value
        for name, value in re.findall(r'^ +KAFKA_([A-Z_]+): "?([^"\n]+)"?$', COMPOSE, re.MULTILINE)
    }
    assert {name: there.get(name) for name in here} == here


def test_every_model_has_a_worker_in_a_container() -> None:
    assert tuple(re.findall(r"TRADING_LLM_MODEL: (\w+)", COMPOSE)) == MODELS


def test_an_image_holds_every_package_that_the_project_is_made_of() -> None:
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    sent = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {each.split(".")[0] for each in packages} <= sent
