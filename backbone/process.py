"""The shell of a process: FastStream on uvicorn, with health, readiness, metrics and AsyncAPI, around one room."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import uvicorn
import uvloop
from faststream.asgi import AsgiFastStream, AsgiResponse, AsyncAPIRoute, get
from faststream.specification import AsyncAPI
from prometheus_client import make_asgi_app
from pydantic import ValidationError

from backbone import clients, stops, telemetry
from backbone.edges import edge_broker
from backbone.errors import Fatal
from backbone.settings import Settings

log = logging.getLogger(__name__)
GRACE_S = 15  # what a supervisor gives a process to end


class Room(Protocol):
    """What a process is for. `failed` is done, with the reason, once it cannot go on."""

    failed: asyncio.Future[None]

    @property
    def ready(self) -> bool:
        """Whether it does its work now."""

    async def start(self) -> None:
        """Begin; returns when it has begun, raises Fatal when it cannot."""

    async def stop(self) -> None:
        """Finish what is held, within the grace time, and end."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of a process, for its AsyncAPI document."""

    name: str
    what: str
    schema: Any


def run(name: str, build: Callable[[Settings], Room], topics: Callable[[Settings], Sequence[Topic]]) -> None:
    """Run one process to its end; exits 0 on SIGTERM, 1 with one line of why on anything else."""
    telemetry.configure()
    try:
        settings = Settings()
        stops.arm(settings.stop_points)
    except (ValidationError, Fatal) as error:
        log.critical("%s.refused %s", name, error)
        sys.exit(1)
    try:
        uvloop.run(_Shell(name, settings, build, topics(settings)).serve())
    except Exception as error:  # the one broad catch: whatever ends a process is said once, and the supervisor starts it
        log.critical("%s.ended %s: %s", name, type(error).__name__, error, exc_info=not isinstance(error, Fatal))
        sys.exit(1)


async def wait_for_broker(settings: Settings) -> None:
    """Return once the broker answers, before anything is begun. SIGTERM meanwhile is an orderly end; Fatal: it stayed away."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    await clients.wait_for_broker(settings)


async def serve_to_end(server: uvicorn.Server) -> None:
    """Serve until SIGTERM or until `should_exit`, then end in order and return.

    uvicorn gives the signal on, after its own end, to whoever handled it before: by default the process would then die of it,
    and what was orderly would look like a crash.
    """
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    await server.serve()


class _Shell:
    def __init__(self, name: str, settings: Settings, build: Callable[[Settings], Room], topics: Sequence[Topic]) -> None:
        self._name, self._settings, self._build, self._topics = name, settings, build, topics
        self._room: Room | None = None
        self._error: BaseException | None = None

    async def serve(self) -> None:
        """Serve until SIGTERM, or until the room fails: then raise why."""
        await wait_for_broker(self._settings)
        config = uvicorn.Config(
            self._app(), host=self._settings.http_host, port=self._settings.http_port, log_level="warning",
            lifespan="on", timeout_graceful_shutdown=2, access_log=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        await serve_to_end(self._server)
        if self._error is not None:
            raise self._error

    def _app(self) -> AsgiFastStream:
        broker = edge_broker(self._settings, f"what {self._name} reads and writes")
        for topic in self._topics:
            broker.publisher(topic.name, description=topic.what, schema=topic.schema)
        return AsgiFastStream(
            broker,
            lifespan=self._lifespan,
            specification=AsyncAPI(title=f"trading-llm {self._name}"),
            # Never the page that can publish to the real broker.
            asyncapi_path=AsyncAPIRoute("/asyncapi", try_it_out_path=None),
            asgi_routes=[
                ("/health", get(self._health)),
                ("/ready", get(self._ready)),
                ("/metrics", make_asgi_app()),
            ],
        )

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._note_progress())]
        try:
            room = self._room = self._build(self._settings)
            tasks.append(asyncio.create_task(self._watch(room)))
            await room.start()
            telemetry.event(f"{self._name}.started", models=",".join(self._settings.models))
        except Fatal as error:
            self._end(error)
        yield
        for task in tasks:
            task.cancel()
        if self._room is not None:
            await self._room.stop()
        telemetry.event(f"{self._name}.stopped")

    async def _watch(self, room: Room) -> None:
        await asyncio.wait([room.failed])
        if (error := room.failed.exception()) is not None:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        self._error = self._error or error
        self._server.should_exit = True

    async def _note_progress(self) -> None:
        """Tell the supervisor, once, that this process did some work: its failures are counted anew from here."""
        while self._settings.progress_file is not None:
            if telemetry.has_progressed():
                self._settings.progress_file.touch()
                return
            await asyncio.sleep(0.5)

    async def _health(self, scope: object) -> AsgiResponse:
        return AsgiResponse(b"alive\n", status_code=200)

    async def _ready(self, scope: object) -> AsgiResponse:
        ready = self._room is not None and self._room.ready and self._error is None
        return AsgiResponse(b"ready\n" if ready else b"not ready\n", status_code=200 if ready else 503)
