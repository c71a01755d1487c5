"""What asks a model: one port, and the two engines behind it. Only the catalogue knows how models differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from deciders.answer import AnswerMode, RawAnswer
from deciders.identity import Identity
from deciders.prompt import Prompt
from schemas.decision import GenerationParts, ModelUsed
from workers.catalogue import Served
from workers.vitals import Vitals

EngineKind = Literal["vllm", "scripted"]

Priority = Literal[0, 1]
LIVE: Final = 0  # the lower number is computed first
REPLAY: Final = 1


class EngineDied(Exception):
    """The engine is gone and will answer nothing any more: the process has to be started again."""


class EngineFailed(Exception):
    """The engine could not answer this one request; others are not affected."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to the model. `request_id` is not in use by any other request; priority is LIVE or REPLAY."""

    request_id: str
    prompt: Prompt
    mode: AnswerMode
    priority: Priority = LIVE


class Engine(Protocol):
    """A model that can be asked. `ask` may be called many times at once; `concurrency` are computed together."""

    @property
    def concurrency(self) -> int:
        """How many requests are computed at once."""

    async def start(self) -> None:
        """Loads, verifies and warms the model up; returns when it is ready. Raises CatalogueError or EngineDied."""

    async def ask(self, ask: Ask) -> RawAnswer:
        """The raw answer. Raises EngineDied or EngineFailed; cancelling it takes the request back."""

    async def stop(self) -> None:
        """Ends the engine and what it started; may be called more than once."""

    def vitals(self) -> Vitals:
        """How it does now. Costs nothing to ask, and never waits."""

    def used(self, as_of_ms: int) -> ModelUsed:
        """What a decision says about which model answered."""

    def parts(self, ask: Ask) -> GenerationParts:
        """The digests that this request's answer is kept under."""


def prepare_environment(kind: EngineKind, served: Served) -> None:
    """Sets what the engine's libraries read when they are imported: call it first in the process, before any of them."""
    if kind == "vllm":
        from workers.engine_environment import prepare

        prepare(served.serving.engine)


def identity_of(kind: EngineKind, served: Served) -> Identity:
    """What the generations of such an engine are known by; no engine is needed to know it."""
    if kind == "scripted":
        from workers.engine_scripted import scripted

        return scripted(served.identity)
    return served.identity


def build_engine(kind: EngineKind, served: Served, script: str = "{}") -> Engine:
    """The engine of this kind, not started. vLLM is imported only where it is wanted."""
    if kind == "scripted":
        from workers.engine_scripted import ScriptedEngine

        return ScriptedEngine(served, script)
    from workers.engine_vllm import VllmEngine

    return VllmEngine(served)
