"""What a stack consists of: its processes, their settings and ports. Says what to run; runs nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from deploy.local.errors import MachineError
from deploy.local.kafka_node import REPOSITORY, KafkaNode
from deploy.local.logs import logs_of
from deploy.local.ports import HOST, VARIABLES, Ports
from deploy.local.ready import Probe
from deploy.local.redis_node import RedisNode

Engine = Literal["vllm", "scripted"]
ENGINES: dict[str, Engine] = {"vllm": "vllm", "scripted": "scripted"}
MODELS = ("deepseek", "qwen", "fingpt", "phi3")
PLAN_FILE = "plan.json"
PROCESSES_MAX = 16  # routers, and workers of one model: Kafka's partitions bound what helps


@dataclass(frozen=True, slots=True)
class Program:
    """One process: what to execute, in which environment, and how to ask whether it is ready."""

    name: str
    group: Literal["store", "pipeline"]
    command: tuple[str, ...]
    environment: dict[str, str]
    probe: Probe
    ready_s_max: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack on this machine. Everything it writes lies in `state_dir`, its logs beside that in `logs`."""

    state_dir: Path
    ports: Ports = field(default_factory=Ports)
    engine: Engine = "vllm"
    models: tuple[str, ...] = MODELS
    routers: int = 1
    workers: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Plan:
        """The plan that ENGINE, MODELS, ROUTERS, WORKERS, STATE_DIR and the ports describe. Raises MachineError."""
        return cls(
            state_dir=state_dir_of(environment),
            ports=Ports.from_environment(environment),
            engine=_engine(environment.get("ENGINE") or "vllm"),
            models=_models(environment.get("MODELS") or ",".join(MODELS)),
            routers=_count("ROUTERS", environment),
            workers=_count("WORKERS", environment),
        )

    @classmethod
    def read(cls, state_dir: Path) -> Plan:
        """The plan that was last started from this state directory. Raises MachineError where none was."""
        try:
            kept = json.loads((state_dir / PLAN_FILE).read_text())
        except FileNotFoundError as error:
            raise MachineError(f"no stack was started from {state_dir}: `make up` starts one") from error
        return cls(**kept | {"state_dir": state_dir, "ports": Ports(**kept["ports"]), "models": tuple(kept["models"])})

    def keep(self) -> None:
        """Write it down in its state directory, for a later command."""
        text = json.dumps({**asdict(self), "state_dir": str(self.state_dir)}, indent=1, sort_keys=True)
        (self.state_dir / PLAN_FILE).write_text(text + "\n")

    @property
    def logs(self) -> Path:
        """Where each process's log lies, as `<name>.log`."""
        return logs_of(self.state_dir)

    @property
    def settings(self) -> dict[str, str]:
        """What a client of this stack needs in its environment; every process has it too."""
        return {
            "TRADING_LLM_KAFKA_BOOTSTRAP": f"{HOST}:{self.ports.kafka}",
            "TRADING_LLM_REDIS_URL": f"redis://{HOST}:{self.ports.redis}/0",
            "TRADING_LLM_MODELS": ",".join(self.models),
            "TRADING_LLM_ENGINE": self.engine,
            "TRADING_LLM_STATE_DIR": str(self.state_dir),
            "TRADING_LLM_GATEWAY_PORT": str(self.ports.gateway),
            "LLM_ENDPOINT": f"http://{HOST}:{self.ports.gateway}",
            **self.environment,
        }

    @property
    def kafka(self) -> KafkaNode:
        """The stack's Kafka."""
        return KafkaNode(self.ports.kafka, self.ports.controller, self.state_dir / "kafka")

    @property
    def redis(self) -> RedisNode:
        """The stack's Redis."""
        return RedisNode(self.ports.redis, self.state_dir / "redis")

    def programs(self) -> tuple[Program, ...]:
        """Every process, those first that the others need. Raises MissingError."""
        kafka = Program("kafka", "store", self.kafka.command(), {}, Probe("kafka", self.ports.kafka), 60)
        redis = Program("redis", "store", self.redis.command(), {}, Probe("redis", self.ports.redis), 15)
        return (kafka, redis, *self._pipeline())

    def ports_wanted(self) -> dict[int, tuple[str, str]]:
        """Each port, with who listens and the variable that moves it. Raises MachineError where two are the same."""
        wanted = {
            getattr(self.ports, name): ({"http": "health"}.get(name, name), variable)
            for name, variable in VARIABLES.items()
            if name != "http"
        }
        own = [program for program in self._pipeline() if program.name != "gateway"]
        wanted |= {program.probe.port: (program.name, VARIABLES["http"]) for program in own}
        if len(wanted) != len(VARIABLES) - 1 + len(own):
            raise MachineError(f"two servers would share a port: change one of {', '.join(VARIABLES.values())}")
        return wanted

    def _pipeline(self) -> list[Program]:
        rooms = [(f"router-{ordinal}", "router", "", ordinal) for ordinal in range(self.routers)]
        for model in self.models:
            rooms += [(f"worker-{model}-{ordinal}", "workers", model, ordinal) for ordinal in range(self.workers)]
        programs = [self._process(*room, at) for at, room in enumerate(rooms)]
        gateway = Probe("http", self.ports.gateway)
        return [*programs, Program("gateway", "pipeline", _python("gateway"), self.settings, gateway, 60)]

    def _process(self, name: str, room: str, model: str, ordinal: int, at: int) -> Program:
        port = self.ports.http + at
        environment = self.settings | {"TRADING_LLM_ORDINAL": str(ordinal), "TRADING_LLM_HTTP_PORT": str(port)}
        if model:
            environment["TRADING_LLM_MODEL"] = model
        # Four engines that load at once on two cores took about two minutes; a real model's weights take longer.
        ready_s_max = 600 if model and self.engine == "vllm" else 60
        return Program(name, "pipeline", _python(room), environment, Probe("http", port), ready_s_max)


def default_state_dir() -> Path:
    """Where `make up` keeps its stack."""
    return REPOSITORY / ".local" / "stack"


def state_dir_of(environment: Mapping[str, str]) -> Path:
    """The folder that STATE_DIR names, else the default one."""
    named = environment.get("STATE_DIR")
    return Path(named).absolute() if named else default_state_dir()


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


def _engine(text: str) -> Engine:
    if text not in ENGINES:
        raise MachineError(f"ENGINE={text} is unknown: give {' or '.join(ENGINES)}")
    return ENGINES[text]


def _models(text: str) -> tuple[str, ...]:
    models = tuple(part.strip() for part in text.split(",") if part.strip())
    if not models or len(set(models)) != len(models):
        raise MachineError(f"MODELS={text} names no model, or one twice: give them as in MODELS=phi3,qwen")
    return models


def _count(variable: str, environment: Mapping[str, str]) -> int:
    text = environment.get(variable) or "1"
    if not text.isdecimal() or not 1 <= int(text) <= PROCESSES_MAX:
        raise MachineError(f"{variable}={text} is no count: give a number from 1 to {PROCESSES_MAX}")
    return int(text)
