"""Where a command finds Kafka and the gateway: in the environment, else in the stack that was last started here."""

from __future__ import annotations

import os

from backbone import stops
from backbone.settings import Settings
from deploy.local import MachineError, Plan, state_dir_of


def settings() -> Settings:
    """The settings of a client of the stack; the environment goes before what the stack's plan says."""
    try:
        known = Plan.read(state_dir_of(os.environ)).settings
    except MachineError:
        known = {}
    for name, value in known.items():
        os.environ.setdefault(name, value)
    found = Settings()
    stops.arm(found.stop_points)
    return found
