"""The ways in which one engine is asked the same things, and what a run of each takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counting
from typing import Any, Final, NamedTuple, Protocol

from deciders.answer import AnswerMode
from deploy.local.ports import free_port
from deploy.local.ready import Probe
from schemas.decision import Decision
from schemas.topic import CONTEXTS, DECISIONS, model_topic
from tests.bench import peer_litellm
from tests.bench.answer_mode import answer_in
from tests.bench.asker import Asker
from tests.bench.chains import PARTITIONS
from tests.bench.contexts import Message, messages
from tests.bench.ground import Ground, stop_all
from tests.bench.log import Log, fill
from tests.bench.peer_chat import Chat, Tokens, questions
from tests.bench.peer_hobby import JOINED
from tests.bench.usage import alone_cpu_s, cpu_s, usage_of
from tests.support.processes import Running, start
from workers.catalogue import Served

READY_S_MAX = 180.0
S_MAX = 300.0
TURNS = 2  # how many times what the engine computes at once a peer keeps asked: our own depth is 2 to 2.5
WARM_UP = 32
WARM_UP_FIRST = 4 * 10**7
OTHERS = 10**6  # numbers further on: what is decided once is not decided again
JOINED_S_MAX = 30.0
LOOK_EVERY_S = 0.2
WORKER: Final = "worker"
LABEL: Final = "worker, label"
_versions = counting(2)  # of the policies that are put in force; the tree's own is the first


@dataclass(frozen=True)
class Taken:
    """What a run took: answers a second; CPU ms an answer of the engine's core, of the broker, and of all others."""

    per_s: float
    cpu_ms: float = 0.0
    broker_cpu_ms: float = 0.0
    core_cpu_ms: float = 0.0
    worker_mb: float = 0.0  # the core included, a page that is shared counted in shares
    tokens: Tokens | None = None  # of all prompts and all answers

    def __str__(self) -> str:
        beside = f"the broker {self.broker_cpu_ms:.2f}, the engine's core {self.core_cpu_ms:.2f}"
        return f"{self.per_s:6.1f} decisions/s  {self.cpu_ms:5.2f} ms CPU each; {beside}"


class Way(Protocol):
    """One way of asking."""

    async def prepare(self) -> None:
        """What has to be there before the first run."""

    async def take(self, first: int, count: int) -> Taken:
        """Ask so many contexts from this number on, by processes of its own, and end them."""


class Path(NamedTuple):
    """Topics: where contexts are put, where the engine's process finds them, and where answers come out."""

    way_in: str
    before_engine: str
    way_out: str


class Processes(NamedTuple):
    """Whose CPU counts: those whose child is the engine's core, which is left out, and others, children included."""

    parents: Sequence[Running]
    others: Sequence[Running] = ()

    def cpu_s(self) -> tuple[float, float]:
        """Used until now, seconds: all but the core, and the core."""
        alone_s, family_s = (of([each.pid for each in self.parents]) for of in (alone_cpu_s, cpu_s))
        return alone_s + cpu_s(each.pid for each in self.others), family_s - alone_s


class Worker:
    """Ours: a router and a worker, answering in this mode."""

    def __init__(self, ground: Ground, served: Served, mode: AnswerMode, others: int = 0) -> None:
        self._ground, self._model, self._mode, self._others = ground, served.entry.name, mode, others

    async def prepare(self) -> None:
        """The pipeline's topics are there."""

    async def take(self, first: int, count: int) -> Taken:
        """From the first context on the model's topic to the last decision, by the log's clock."""
        first += self._others
        pipeline = self._ground.pipeline((self._model,), "vllm")
        answer_in(pipeline, self._mode, next(_versions), self._ground.folder)
        running = [worker := pipeline.worker(self._model), router := pipeline.router()]
        path = Path(CONTEXTS, model_topic(self._model), DECISIONS)
        try:
            for each in running:
                each.wait_ready(READY_S_MAX)
            await _through(self._ground, path, list(messages(WARM_UP_FIRST + first, WARM_UP)), Processes([worker], [router]))
            return await _through(self._ground, path, list(messages(first, count)), Processes([worker], [router]))
        finally:
            stop_all(running)


class Generate:
    """Offline `LLM.generate`: all prompts at once, nothing around it."""

    def __init__(self, ground: Ground, served: Served) -> None:
        self._ground, self._model = ground, served.entry.name

    async def prepare(self) -> None:
        """It needs nothing."""

    async def take(self, first: int, count: int) -> Taken:
        """By the process's own clock, tokenising included."""
        file = self._ground.folder / "generate.txt"
        file.unlink(missing_ok=True)
        peer = self._ground.peer("peer_generate", self._model, str(first), str(count), str(file))
        assert peer.wait_exit(S_MAX) == 0, f"LLM.generate failed: {peer.log.read_text()[-2000:]}"
        per_s, *tokens = json.loads(file.read_text())
        return Taken(per_s, tokens=Tokens(*tokens))


class Hobby:
    """A consumer that asks `vllm serve`; for text alone, or for probabilities, too."""

    def __init__(self, ground: Ground, served: Served, name: str, *, probable: bool) -> None:
        self._ground, self._served, self._name, self._probable = ground, served, name, probable
        self._topics = Path(f"{name}.in", f"{name}.in", f"{name}.out")

    async def prepare(self) -> None:
        """Its topics, as many partitions as ours have."""
        await self._ground.make_topics(self._topics.way_in, self._topics.way_out, partitions=PARTITIONS)

    async def take(self, first: int, count: int) -> Taken:
        """From the first request on its topic to the last answer, by the log's clock."""
        port = free_port()
        server = _served(self._ground, self._served, port)
        way_in, _, way_out = self._topics
        group = f"{self._name}.{first}"
        hop = self._ground.peer("peer_hobby", way_in, way_out, group, str(port), str(_at_once(self._served)))
        processes = Processes([server], [hop])
        try:
            await _joined(hop, group)
            warm_up, asked = _questions(self._served, first, count, probable=self._probable)
            await _through(self._ground, self._topics, warm_up, processes)
            return await _through(self._ground, self._topics, asked, processes)
        finally:
            stop_all([hop, server])


class Litellm:
    """LiteLLM's proxy in front of `vllm serve`; its client's CPU is not counted."""

    def __init__(self, ground: Ground, served: Served) -> None:
        self._ground, self._served = ground, served

    async def prepare(self) -> None:
        """Its environment, made once."""
        await asyncio.to_thread(peer_litellm.install)

    async def take(self, first: int, count: int) -> Taken:
        """From the first question to the last answer, by the client's clock."""
        served_port, port = free_port(), free_port()
        server = _served(self._ground, self._served, served_port)
        command = peer_litellm.command(self._ground.folder, port, served_port, f"hosted_vllm/{self._served.entry.name}")
        probe, folder = Probe("http", port, path="/health/liveliness"), self._ground.folder
        proxy = start("litellm", command, peer_litellm.environment(), probe, folder, folder)
        try:
            proxy.wait_ready(READY_S_MAX)
            answers: list[bytes] = []
            asker, processes = Asker(port, lambda each: each.value, answers.append), Processes([server], [proxy])
            warm_up, asked = _questions(self._served, first, count, probable=False)
            await asker.offer_closed(warm_up, _at_once(self._served))
            before = processes.cpu_s()
            answers.clear()
            offered = await asker.offer_closed(asked, _at_once(self._served))
            own_ms, core_ms = _ms_each(before, processes.cpu_s(), count)
            tokens = Tokens.total(Chat.read(each).tokens for each in answers)
            return Taken(count / offered.seconds, own_ms, core_cpu_ms=core_ms, tokens=tokens)
        finally:
            proxy.end()
            server.end()


WAYS: Mapping[str, Callable[[Ground, Served], Way]] = {
    WORKER: lambda ground, served: Worker(ground, served, "full"),
    "LLM.generate": Generate,
    "hobby": lambda ground, served: Hobby(ground, served, "hobby", probable=False),
    "hobby with probabilities": lambda ground, served: Hobby(ground, served, "hobby-probable", probable=True),
    "litellm": Litellm,
    LABEL: lambda ground, served: Worker(ground, served, "label", OTHERS),
}


def _at_once(served: Served) -> int:
    return TURNS * served.entry.concurrency


async def _joined(hop: Running, group: str) -> None:
    """Wait until it reads."""
    async with asyncio.timeout(JOINED_S_MAX):
        while f"{JOINED} {group}\n" not in hop.log.read_text():  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(LOOK_EVERY_S)


def _served(ground: Ground, served: Served, port: int) -> Running:
    return ground.server("peer_serve", port, served.entry.name, path="/health").wait_ready(READY_S_MAX)


def _questions(served: Served, first: int, count: int, *, probable: bool) -> tuple[list[Message], list[Message]]:
    """Some to warm up, and those that are measured."""
    warm_up = questions(served, WARM_UP_FIRST + first, WARM_UP, probable=probable)
    return list(warm_up), list(questions(served, first, count, probable=probable))


async def _through(ground: Ground, path: Path, asked: Sequence[Message], processes: Processes) -> Taken:
    """Put these on a topic as fast as goes, and wait for the last answer. AssertionError where some have none."""
    came, went = Log(ground.settings, [path.before_engine]), Log(ground.settings, [path.way_out])
    before, answered = await came.ends(), await went.ends()
    used_s: list[tuple[float, ...]] = []  # at first, and whenever answers have come: nobody counts the silence after the last

    def look() -> None:
        used_s.append((*processes.cpu_s(), cpu_s([ground.broker.pid])))

    look()
    await fill(ground.settings, path.way_in, asked)
    await went.still(answered, S_MAX, look)
    first, last, count = await came.written(before), await went.written(answered), len(asked)
    assert first.count == last.count == count, f"{path.way_out}: {last.count} answers to {count}"
    own_ms, core_ms, broker_ms = _ms_each(used_s[0], used_s[-1], count)
    worker_mb = sum(usage_of(each.pid).pss_mb for each in processes.parents)
    tokens = Tokens.total([_tokens(each) for each in await went.records(answered)])
    return Taken(count / (last.last_ms - first.first_ms) * 1000, own_ms, broker_ms, core_ms, worker_mb, tokens)


def _tokens(answer: Any) -> Tokens:
    """Of an answer of a peer, which has them in a header, or of a decision."""
    for name, told in answer.headers:
        if name == "tokens":
            return Tokens(*json.loads(told))
    used = Decision.from_bytes(answer.value).tokens
    assert used is not None, "nobody answered"
    return Tokens(used.prompt, used.completion)


def _ms_each(before_s: Iterable[float], after_s: Iterable[float], count: int) -> list[float]:
    return [(after - before) / count * 1000 for before, after in zip(before_s, after_s, strict=True)]
