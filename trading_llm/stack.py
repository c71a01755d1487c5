"""`trading-llm up`, `down` and `status`: the stack on this machine."""

from __future__ import annotations

import os
from typing import Any

import httpx

from deploy import local
from schemas.canonical import rfc3339
from trading_llm import say
from trading_llm.exits import Away
from trading_llm.surroundings import settings

STATUS_S_MAX = 10.0


def up(json: say.Json = False) -> None:
    """Start the whole stack on 127.0.0.1; returns when every process is ready. Shaped by ENGINE, MODELS, ROUTERS, WORKERS."""
    plan = local.Plan.from_environment(os.environ)
    local.up(plan, say=say.note)
    if json:
        say.document({"processes": _processes()})
    else:
        print(f"up: gateway http://127.0.0.1:{plan.ports.gateway}, Kafka 127.0.0.1:{plan.ports.kafka}, logs {plan.logs}")


def down(json: say.Json = False) -> None:
    """Stop the stack; Kafka's data stays."""
    stopped = local.down(local.state_dir_of(os.environ), say=say.note)
    if json:
        say.document({"stopped": stopped})
    elif not stopped:
        print("nothing was up")


def status(json: say.Json = False) -> None:
    """What runs, how each model is doing, and how far each topic is behind. Exit 1 where a process is not running."""
    processes, gateway = _processes(), _of_gateway()
    if not processes and gateway is None:
        raise Away("nothing is up: `make up` starts the stack, or LLM_ENDPOINT names a gateway elsewhere")
    found = (gateway or {"models": [], "topics": []}) | {"processes": processes}
    if json:
        say.document({name: found[name] for name in ("processes", "models", "topics")})
    else:
        _show(found)
    if gateway is None:
        say.note("the gateway does not answer: models and topics are not shown")
    idle = [process["name"] for process in processes if process["state"] != "running"]
    say.check(not idle, f"not running: {', '.join(idle)}")


def _processes() -> list[dict[str, Any]]:
    return [
        {
            "name": process.name,
            "pid": process.pid,
            "state": process.state,
            "since": None if process.since is None else rfc3339(int(process.since.timestamp() * 1000)),
            "restarts": process.restarts,
        }
        for process in local.processes(local.state_dir_of(os.environ))
    ]


def _of_gateway() -> dict[str, Any] | None:
    """What the gateway knows; None where it does not answer."""
    try:
        response = httpx.get(f"{settings().llm_endpoint}/status", timeout=STATUS_S_MAX)
        response.raise_for_status()
    except httpx.HTTPError:
        return None
    found: dict[str, Any] = response.json()
    return found


def _show(found: dict[str, Any]) -> None:
    for title, columns in (
        ("processes", ("name", "pid", "state", "since", "restarts")),
        ("models", ("name", "state", "since", "next_probe", "queue", "in_flight", "p50_ms", "p99_ms", "share", "reason")),
        ("topics", ("name", "lag", "oldest_s")),
    ):
        if found[title]:
            say.table(title, columns, [[row[column] for column in columns] for row in found[title]])
