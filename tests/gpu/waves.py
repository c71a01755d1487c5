"""What is asked: waves of contexts that make prompts of about so many tokens, each in one answer mode."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from deciders.answer import AnswerMode
from deciders.features import compute_features
from deciders.prompt import Prompt, render
from schemas.context import read_event
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS
from tests.bench.contexts import Message, candle_rows
from workers.catalogue import Served

TTL_MS = 3_600_000
CANDLES_STEP = 2
BOTS = 96


@dataclass(frozen=True, slots=True)
class Wave:
    """So many contexts of so many candles for one model, numbered from `first`."""

    model: str
    mode: AnswerMode
    tokens: int  # of a prompt, aimed at
    candles: int
    first: int
    size: int
    bots: int = 1  # so many ask about each market at the same time

    @property
    def name(self) -> str:
        """How a table calls it."""
        return f"{self.mode}-{self.tokens}"

    def messages(self) -> Iterator[Message]:
        """The contexts, the same ones every time."""
        numbers = range(self.first, self.first + self.size)
        return (_message(self.model, number, self.candles, number // self.bots) for number in numbers)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is asked: contexts a wave, tokens a prompt, and how many bots ask about each market at the same time."""

    size: int
    lengths: tuple[int, ...]
    bots: int

    @classmethod
    def from_words(cls, size: str, lengths: str, bots: str) -> Extent:
        """As a command line gives them, lengths with commas. Raises ValueError."""
        return cls(int(size), tuple(map(int, lengths.split(","))), int(bots))

    @property
    def words(self) -> tuple[str, str, str]:
        """As `from_words` reads them."""
        return str(self.size), ",".join(map(str, self.lengths)), str(self.bots)


def plan(served: Served, policy: Policy, tokens_of: Callable[[Prompt], int], extent: Extent) -> list[Wave]:
    """Both modes at each length, as many contexts each."""
    candles = {length: _candles(served, policy, tokens_of, length) for length in extent.lengths}
    modes: tuple[AnswerMode, ...] = ("full", "label")
    kinds = [(mode, length) for mode in modes for length in extent.lengths]
    return [
        Wave(served.entry.name, mode, length, candles[length], (1 + at) * 1_000_000, extent.size, extent.bots)
        for at, (mode, length) in enumerate(kinds)
    ]


def prompts(served: Served, policy: Policy, wave: Wave) -> list[Prompt]:
    """What the worker renders of this wave."""
    return [_prompt(served, policy, each) for each in wave.messages()]


def _candles(served: Served, policy: Policy, tokens_of: Callable[[Prompt], int], length: int) -> int:
    """How many candles make a prompt at least so long."""
    for candles in count(CANDLES_STEP, CANDLES_STEP):
        if tokens_of(_prompt(served, policy, _message(served.entry.name, 1, candles, 1))) >= length:
            return candles
        assert candles < length, f"{length} tokens are more than the template lets through"
    raise AssertionError("unreachable")


def _prompt(served: Served, policy: Policy, message: Message) -> Prompt:
    now_ms = int(time.time() * 1000)
    record = Record(Source(CONTEXTS, 0, message.number), message.key, message.value, (), now_ms)
    question = resolve(read_event(message.value, now_ms), record, policy)
    return render(served.serving.template, question, compute_features(question.event.context, policy.features))


def _message(model: str, number: int, candles: int, market: int) -> Message:
    """Bots that ask about one market hold positions of their own."""
    drawn, rows, bot = random.Random(market), candle_rows(), f"bot{number % BOTS}"
    start = drawn.randrange(len(rows) - candles)
    shown = [{**row, "t": int(row["t"])} for row in rows[start : start + candles]]
    context = {"price": shown[-1]["c"], "interval": "1m", "candles": shown, "volatility": round(drawn.uniform(0.2, 1.1), 4)}
    if number != market:
        context["position"] = {"size": 0.1 + number % BOTS, "entry_price": shown[0]["c"]}
    asked = {"model_preference": model, "fallback": False, "ttl_ms": TTL_MS}
    body = {"context_id": f"n{number}", "bot_id": bot, "symbol": "BTCUSDT", **asked, "context": context}
    return Message(number, f"{bot}:BTCUSDT".encode(), json.dumps(body).encode())
