"""LiteLLM's proxy as it is tuned: one process, two deployments of a model with a fallback, no telemetry, all on this machine.

It lives in an environment of its own, `.local/peers/litellm`, made from a lock with hashes when it is first measured.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from pathlib import Path

from deploy.local.kafka_node import REPOSITORY
from deploy.local.ports import HOST

ENVIRONMENT = REPOSITORY / ".local" / "peers" / "litellm"
LOCK = REPOSITORY / "deploy" / "locks" / "litellm.txt"
UV = REPOSITORY / ".local" / "tools" / "bin" / "uv"
INSTALL_S_MAX = 600
MODEL, FALLBACK = "qwen", "deepseek"
INSTANT = "openai/instant"  # what tests/bench/peer_upstream.py answers for
KEY = f"sk-{secrets.token_hex(32)}"  # it refuses to start without one
TUNED = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": HOST}


def install() -> None:
    """Make its environment where there is none yet. Raises CalledProcessError, TimeoutExpired."""
    made = ENVIRONMENT / ".made"
    if made.exists() and made.read_text() == LOCK.read_text():
        return
    quiet = {"check": True, "timeout": INSTALL_S_MAX, "stdout": subprocess.DEVNULL}
    subprocess.run([UV, "venv", "-q", "--clear", "--python", "3.11", ENVIRONMENT], **quiet)  # type: ignore[call-overload]
    sync = [UV, "pip", "sync", "-q", "--compile-bytecode", "--python", ENVIRONMENT / "bin" / "python", "--require-hashes", LOCK]
    subprocess.run(sync, **quiet)  # type: ignore[call-overload]
    made.write_text(LOCK.read_text())


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
