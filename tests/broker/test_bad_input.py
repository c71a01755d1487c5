"""Whatever a bot sends gets exactly one outcome, the bot is told, and its neighbours are decided."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from backbone import clients
from backbone.settings import Settings
from schemas.decision import Decision
from schemas.headers import CONTEXT_ID, DETAIL, LENGTH, REASON, SHA256, SRC, TRUNCATED, header_text
from schemas.record import Record
from schemas.source import Source
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS
from tests.broker.bad_input import GOOD, KEY, Case, all_cases, dead_letters, sound
from tests.support import header_names
from tests.support.kafka import Broker
from tests.support.processes import Running
from tests.support.redis import RedisServer
from tests.support.stack import Pipeline
from tests.support.watch import Watch, watching
from trading_llm.verdict import Verdict

pytestmark = pytest.mark.broker

MODEL = "phi3"
NAMES = tuple(all_cases(0))
BROKEN_NAME = "a_header_name_that_is_no_utf_8"


@dataclass(slots=True)
class Run:
    """Every case once, a good neighbour after each, through one router and one worker."""

    cases: dict[str, Case]
    outcomes: dict[str, Record]
    neighbours: list[Record]
    verdict: Verdict
    logs: str
    restarted: Running | None = None

    def decision(self, name: str) -> Decision:
        """The decision on this case."""
        return Decision.from_bytes(self.outcomes[name].value)


@pytest.fixture(scope="module")
def run(fresh_topics: Broker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    pipeline = Pipeline(fresh_topics, redis_server, tmp_path_factory.mktemp("bad_input"), models=(MODEL,))
    try:
        processes = [pipeline.router(), pipeline.worker(MODEL)]
        for process in processes:
            process.wait_ready()
        starts = [len(process.log.read_text()) for process in processes]
        made = asyncio.run(everything_sent(fresh_topics.bootstrap))
        assert [process.popen.poll() for process in processes] == [None, None], "a process died of bad input"
        made.logs = "".join(each.log.read_text()[start:] for each, start in zip(processes, starts, strict=True))
        made.restarted = restarted(pipeline, processes[0])
        yield made
    finally:
        pipeline.close()


def restarted(pipeline: Pipeline, router: Running) -> Running:
    """A router that is started after all this takes in the names of what lies before it."""
    router.kill()
    return pipeline.router().wait_ready()


async def everything_sent(bootstrap: str) -> Run:
    cases = all_cases(int(time.time() * 1000))
    async with watching(bootstrap, (MODEL,)) as watch:
        sources, neighbours = await sent(bootstrap, cases)
        await watch.until_answered([*sources.values(), *neighbours])
        verdict = await watch.settled(20)
        by_source = outcomes_of(watch)
    return Run(cases, {n: by_source[s] for n, s in sources.items()}, [by_source[each] for each in neighbours], verdict, "")


async def sent(bootstrap: str, cases: dict[str, Case]) -> tuple[dict[str, Source], list[Source]]:
    settings = Settings(kafka_bootstrap=bootstrap)
    plain = clients.AIOKafkaProducer(**clients.connection(settings), max_request_size=1 << 20)
    packed = clients.AIOKafkaProducer(**clients.connection(settings), max_request_size=64 << 20, compression_type="gzip")
    await plain.start()
    await packed.start()
    sources: dict[str, Source] = {}
    neighbours: list[Source] = []
    try:
        for number, (name, case) in enumerate(cases.items()):
            producer = packed if case.compressed else plain
            sources[name] = await lies(producer, case)
            neighbours.append(await lies(plain, sound(f"neighbour-{number}")))
        sources[BROKEN_NAME] = await header_names.send(plain, neighbours[-1].partition, KEY, sound(BROKEN_NAME).value or b"")
        neighbours.append(await lies(plain, sound("neighbour-of-a-broken-name")))
    finally:
        await clients.stop(plain)
        await clients.stop(packed)
    return sources, neighbours


async def lies(producer: clients.AIOKafkaProducer, case: Case) -> Source:
    at = await producer.send_and_wait(CONTEXTS, value=case.value, key=case.key, headers=list(case.headers))
    return Source(at.topic, at.partition, at.offset)


def outcomes_of(watch: Watch) -> dict[Source, Record]:
    records = (*watch.of(DECISIONS), *watch.of(DEAD_LETTERS))
    return {Source.parse(header_text(record.headers, SRC) or ""): record for record in records}


@pytest.mark.parametrize("name", NAMES)
def test_each_comes_to_what_it_must(run: Run, name: str) -> None:
    case, outcome = run.cases[name], run.outcomes[name]
    if case.comes_to.startswith("dead:"):
        assert outcome.source.topic == DEAD_LETTERS
        assert header_text(outcome.headers, REASON) == case.comes_to.removeprefix("dead:")
        assert header_text(outcome.headers, DETAIL), "a person is told nothing"
        return
    assert outcome.source.topic == DECISIONS, f"dead: {header_text(outcome.headers, REASON)}"
    decision = run.decision(name)
    assert decision.status in sound_statuses() if case.comes_to == GOOD else decision.status == case.comes_to
    assert (decision.reason or "").startswith(case.says)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in dead_letters()])
def test_each_that_is_told_is_told_about_itself(run: Run, name: str) -> None:
    outcome = run.outcomes[name]
    assert outcome.key == run.cases[name].key or outcome.key == b"bad_bot:BADUSD"
    if outcome.source.topic == DECISIONS:
        decision = run.decision(name)
        assert (decision.bot_id, decision.symbol) == ("bad_bot", "BADUSD")
        assert decision.context_id == header_text(outcome.headers, CONTEXT_ID)


@pytest.mark.parametrize("name", list(dead_letters()))
def test_a_dead_letter_is_what_came_or_says_how_it_was_cut(run: Run, name: str) -> None:
    came, outcome = run.cases[name].value or b"", run.outcomes[name]
    if header_text(outcome.headers, TRUNCATED) is None:
        assert outcome.value == came
    else:
        assert outcome.value == came[: 64 * 1024]
        assert header_text(outcome.headers, LENGTH) == str(len(came))
        assert len(header_text(outcome.headers, SHA256) or "") == 64


def test_a_header_whose_name_is_no_utf_8_ends_nobody(run: Run) -> None:
    assert run.decision(BROKEN_NAME).status in sound_statuses()


def test_every_good_neighbour_is_decided_or_abstained_upon(run: Run) -> None:
    assert {Decision.from_bytes(each.value).status for each in run.neighbours} <= sound_statuses()


def test_the_whole_log_holds(run: Run) -> None:
    assert run.verdict.holds, str(run.verdict)


def test_no_lane_was_lost_to_it(run: Run) -> None:
    assert "lane.lost" not in run.logs
    assert "Traceback" not in run.logs


def test_a_router_that_starts_behind_it_reads_on(run: Run) -> None:
    assert run.restarted is not None and run.restarted.popen.poll() is None
    assert "Traceback" not in run.restarted.log.read_text()


def test_an_id_that_breaks_the_contract_is_replaced_by_the_default(run: Run) -> None:
    outcome = run.outcomes["a context_id of 129"]
    assert run.decision("a context_id of 129").context_id.startswith(header_text(outcome.headers, SRC) or "")


def test_the_record_without_a_key_is_keyed_from_its_body(run: Run) -> None:
    assert run.outcomes["no key"].key == b"bad_bot:BADUSD"


def test_a_bots_headers_go_on_up_to_sixteen_kilobytes(run: Run) -> None:
    own = [(name, value) for name, value in run.outcomes["48 KB of headers"].headers if name.startswith("own-")]
    assert own == [(f"own-{n}", b"v" * 6_000) for n in range(2)]
    assert "own" not in dict(run.outcomes["a header of 60 KB"].headers)


def test_headers_of_ours_cannot_be_forged(run: Run) -> None:
    outcome = run.outcomes["forged headers of ours"]
    assert [name for name, _ in outcome.headers].count(SRC) == 1
    assert run.decision("forged headers of ours").context_id == "forged"
    assert REASON not in dict(outcome.headers)


def sound_statuses() -> set[str]:
    return {"DECIDED", "ABSTAINED_LOW_CONFIDENCE", "BLOCKED_BY_RISK"}
