"""The whole pipeline on one machine: Kafka, Redis and our processes under supervisord, all on 127.0.0.1."""

from deploy.local.errors import AlreadyUpError, MachineError
from deploy.local.plan import Plan, Program, default_state_dir, state_dir_of
from deploy.local.ports import Ports
from deploy.local.stack import Process, down, processes, running, up

__all__ = [
    "AlreadyUpError",
    "MachineError",
    "Plan",
    "Ports",
    "Process",
    "Program",
    "default_state_dir",
    "down",
    "processes",
    "running",
    "state_dir_of",
    "up",
]
