"""What an engine says of itself, and how it is added up from what it says after each step. Pure: the clock comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Sums:
    """What an engine did, in tokens where nothing else is said."""

    prefix_queries: int = 0  # of prompts, looked up in the prefix cache
    prefix_hits: int = 0  # and found there
    preemptions: int = 0  # questions that were put back for want of KV cache
    prompt_tokens: int = 0
    generation_tokens: int = 0

    def plus(self, more: Sums) -> Sums:
        """Both together."""
        return Sums(
            self.prefix_queries + more.prefix_queries,
            self.prefix_hits + more.prefix_hits,
            self.preemptions + more.preemptions,
            self.prompt_tokens + more.prompt_tokens,
            self.generation_tokens + more.generation_tokens,
        )


@dataclass(frozen=True, slots=True)
class Vitals:
    """How an engine does. What it does not tell is None.

    A step counts in `steps` if it brought any question forward, and in `hungry_steps` too if it left fewer questions than the
    engine computes at once: the next one could not be full.
    """

    at_s: float  # by the monotonic clock: when it was so
    alive: bool = True
    running: int = 0
    waiting: int = 0
    kv_use: float | None = None  # share of the KV cache that is in use
    steps: int = 0  # this and the next two since its start
    hungry_steps: int = 0
    sums: Sums | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an engine: how it stands after it, and what the step added."""

    running: int
    waiting: int
    kv_use: float
    added: Sums


NOTHING = Sums()


class Pulse:
    """Adds steps up. One thread tells it, any may ask: what it knows is one value, put in place at once."""

    def __init__(self, concurrency: int, clock: Callable[[], float]) -> None:
        self._concurrency, self._clock = concurrency, clock
        self._kv_use, self._sums = 0.0, NOTHING
        self._last = Vitals(clock(), kv_use=0.0, sums=NOTHING)

    def step(self, step: Step) -> None:
        """The engine made this step; one that brought nothing forward is a sign of life and not of progress."""
        # A prompt that is computed in pieces gives no token for some steps, but fills blocks. Lookups are no progress: an engine
        # that finds no blocks for a question looks it up again and again.
        advanced = bool(step.added.generation_tokens or step.added.prompt_tokens) or step.kv_use > self._kv_use
        hungry = advanced and step.running + step.waiting < self._concurrency
        self._kv_use, self._sums = step.kv_use, self._sums.plus(step.added)
        self._last = Vitals(
            at_s=self._clock(),
            running=step.running,
            waiting=step.waiting,
            kv_use=step.kv_use,
            steps=self._last.steps + advanced,
            hungry_steps=self._last.hungry_steps + hungry,
            sums=self._sums,
        )

    def vitals(self, questions: int, *, alive: bool) -> Vitals:
        """How it does, where it was asked so many questions that have no answer yet.

        One that was asked none says nothing any more, and is known all the same: it has nothing to do.
        """
        if questions:
            return replace(self._last, alive=alive)
        return replace(self._last, alive=alive, at_s=self._clock(), running=0, waiting=0, kv_use=0.0)
