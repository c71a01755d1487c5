"""`python -m tests.gpu.dummy ROOM`: a room as it is, but for its engine's weights, which are made up and not read.

Speed and memory do not depend on what the weights are. Everything else is the product's own code.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from dataclasses import replace
from typing import Any

from workers import engine
from workers.catalogue import Served

OTHERWISE = "TRADING_LLM_TESTS_ENGINE"  # engine arguments that are given in place of the catalogue's, JSON


def with_made_up_weights() -> None:
    """From now on every engine that this process builds has them. Imports vLLM."""
    from workers import engine_vllm

    arguments = engine_vllm._arguments

    def made_up(served: Served) -> Any:
        return replace(arguments(served), load_format="dummy", **json.loads(os.environ.get(OTHERWISE, "{}")))

    engine_vllm._arguments = made_up


def _main(room: str) -> None:
    build = engine.build_engine

    def build_made_up(*arguments: Any) -> engine.Engine:
        with_made_up_weights()  # not before: what vLLM reads from the environment has to be set when it is imported
        return build(*arguments)

    engine.build_engine = build_made_up  # type: ignore[assignment]  # it hands on whatever it is given
    runpy.run_module(room, run_name="__main__")


if __name__ == "__main__":
    _main(sys.argv[1])
