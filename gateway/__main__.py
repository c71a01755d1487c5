"""`python -m gateway`: the gateway as a process."""

from __future__ import annotations

import asyncio
import logging
import sys

import uvicorn
import uvloop
from pydantic import ValidationError

from backbone import telemetry
from backbone.errors import Fatal
from backbone.process import serve_to_end, wait_for_broker
from backbone.settings import Settings
from gateway.app import create_app
from gateway.service import Service

log = logging.getLogger("trading_llm")
GRACE_S = 5  # what requests under way get to end; their questions are written, and can be asked again


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM. Raises Fatal where it cannot begin."""
    await wait_for_broker(settings)
    service = Service(settings)
    await service.start()
    config = uvicorn.Config(
        create_app(service), host=settings.gateway_host, port=settings.gateway_port, log_level="warning",
        timeout_graceful_shutdown=GRACE_S, access_log=False, server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    reading = asyncio.create_task(service.ended())
    reading.add_done_callback(lambda _: setattr(server, "should_exit", True))
    telemetry.event("gateway.started", host=settings.gateway_host, port=settings.gateway_port)
    await serve_to_end(server)
    await reading  # stopped with the app; whatever else ended it ends the process


def main() -> None:
    """Run; exits 0 on SIGTERM, 1 with one line of why where it cannot."""
    telemetry.configure()
    try:
        uvloop.run(serve(Settings()))
    except (Fatal, ValidationError) as error:
        log.critical("gateway.ended %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
