"""Looks after a running engine: whether it lives, whether it moves, and how much it is given."""

from __future__ import annotations

import asyncio
import time

from backbone import telemetry
from backbone.errors import Fatal
from workers.admission import Admission
from workers.engine import Engine
from workers.watchdog import Watchdog

EVERY_S = 0.25  # how soon replays get room that live questions left, and a dead engine's process ends


async def tend(engine: Engine, admission: Admission, hung_s: float, model: str) -> None:
    """Look four times a second, for ever. Raises Fatal once the engine is dead, asked or not, or hung."""
    watchdog = Watchdog(hung_s)
    while True:
        await asyncio.sleep(EVERY_S)
        vitals, questions = engine.vitals(), admission.in_flight
        if not vitals.alive:
            raise Fatal(f"model {model}: the engine died; the process must be started again")
        if watchdog.look(vitals.steps, questions, time.monotonic()):
            silent = f"it has {questions} questions and has made no step for {watchdog.silent_s:.0f} s"
            raise Fatal(f"model {model}: the engine is hung: {silent}; the process must be started again")
        admission.adapt()
        telemetry.DEPTH.labels(model).set(admission.depth)
