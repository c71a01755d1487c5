"""One question, written once. The log here is a list: what a real one does is tested on Kafka."""

from __future__ import annotations

import asyncio

import pytest

from backbone.errors import Doubt
from gateway.asking import Asking, NotYet
from gateway.intake import Asked
from gateway.outcome import Answered, Dead, Outcome
from gateway.pending import Pending
from gateway.problems import Problem
from gateway.seen import Seen
from schemas.source import Source

pytestmark = pytest.mark.unit

ASKED = Asked(("bot", "BTCUSDT", "one"), b"{}")
FIRST = Source("contexts", 0, 0)


class Log:
    """A log that answers what is written with these outcomes."""

    def __init__(self, *outcomes: Outcome, doubt: bool = False) -> None:
        self.written: list[bytes] = []
        self.pending = Pending(Seen(), waiting_max=2)
        self._outcomes, self._doubt = outcomes, doubt

    async def publish(self, key: bytes, value: bytes, traceparent: str | None = None) -> Source:
        self.written.append(value)
        if self._doubt:
            raise Doubt("topic contexts: gone")
        for outcome in self._outcomes:
            self.pending.came(outcome)
        return Source("contexts", 0, len(self.written) - 1)


def decision(src: Source = FIRST, digest: str = ASKED.content_digest) -> Answered:
    return Answered(src, ASKED.ids, digest, "phi3", "DECIDED", "BUY", b"{}", 0)


async def ask(log: Log, wait_s: float = 0.01) -> Answered | NotYet:
    return await Asking(log, log.pending).ask(ASKED, wait_s)


async def problem_of(log: Log) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await ask(log)
    return caught.value.details.status, caught.value.details.type


async def test_a_question_is_answered_by_the_outcome_of_its_record() -> None:
    assert await ask(Log(decision())) == decision()


async def test_what_was_decided_before_is_not_written_again() -> None:
    log = Log()
    log.pending.came(decision(Source("contexts", 0, 99)))
    assert await ask(log) == decision(Source("contexts", 0, 99))
    assert log.written == []


async def test_other_content_under_a_known_name_is_a_conflict_and_is_not_written() -> None:
    log = Log()
    log.pending.came(decision(digest="another"))
    assert await problem_of(log) == (409, "/problems/context-id-reused")
    assert log.written == []


async def test_a_duplicate_waits_for_the_first_ones_decision() -> None:
    log = Log(Dead(FIRST, "duplicate_context_id", ""))
    waiting = asyncio.create_task(ask(log, 10))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    log.pending.came(decision(Source("contexts", 0, 99)))
    assert await waiting == decision(Source("contexts", 0, 99))


async def test_reuse_that_the_router_finds_is_a_conflict() -> None:
    assert await problem_of(Log(Dead(FIRST, "context_id_reused", ""))) == (409, "/problems/context-id-reused")


async def test_what_nobody_can_decide_is_said() -> None:
    assert await problem_of(Log(Dead(FIRST, "undecidable", "it killed its worker"))) == (503, "/problems/undecidable")


async def test_a_write_in_doubt_is_told_with_the_remedy() -> None:
    with pytest.raises(Problem, match="ask again with the same context_id") as caught:
        await ask(Log(doubt=True))
    assert (caught.value.details.status, caught.value.details.context_id) == (503, "one")


async def test_no_answer_in_time_is_no_answer_yet() -> None:
    assert await ask(Log()) == NotYet(ASKED, FIRST)


async def test_who_comes_when_too_many_wait_is_told_when_to_come_back() -> None:
    log = Log()
    with log.pending.place(), log.pending.place(), pytest.raises(Problem) as caught:
        await ask(log)
    assert caught.value.details.status == 429
    assert caught.value.headers == {"Retry-After": "1"}
    assert log.written == []
