"""LiteLLM's proxy as it is tuned: one process, two deployments of a model with a fallback, no telemetry, all on this machine.

It lives in an environment of its own, `.local/peers/litellm`, made from a lock with hashes when it is first measured.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from deploy.local.ports import HOST
from tests.support.peers import PEERS, environment_of

NAME = "litellm"
ENVIRONMENT = PEERS / NAME
MODEL, FALLBACK = "qwen", "deepseek"
INSTANT = "openai/instant"  # what tests/bench/peer_upstream.py answers for
KEY = f"sk-{secrets.token_hex(32)}"  # it refuses to start without one
TUNED = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": HOST}


def install() -> None:
    """Make its environment where there is none yet. Raises CalledProcessError, TimeoutExpired."""
    environment_of(NAME)


def command(folder: Path, port: int, upstream_port: int, served: str = INSTANT) -> tuple[str, ...]:
    """What runs it on this port in front of the model `served` there; its configuration is written into the folder."""
    file = folder / "litellm.yaml"
    file.write_text(json.dumps(_configuration(upstream_port, served)))  # YAML is a superset
    own = ("--config", str(file), "--host", HOST, "--port", str(port), "--num_workers", "1", "--telemetry", "False")
    return (str(ENVIRONMENT / "bin" / "litellm"), *own)


def environment() -> dict[str, str]:
    """What it is given beside ours."""
    return TUNED | {"LITELLM_MASTER_KEY": KEY, "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}"}


def _configuration(upstream_port: int, served: str) -> dict[str, object]:
    cost = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    known = {"api_base": f"http://{HOST}:{upstream_port}/v1", "api_key": "none"}
    deployment = {"litellm_params": {"model": served} | known, "model_info": cost}
    names = (MODEL, MODEL, FALLBACK)
    return {
        "model_list": [{"model_name": name} | deployment for name in names],
        "litellm_settings": {"fallbacks": [{MODEL: [FALLBACK]}], "telemetry": False},
    }
