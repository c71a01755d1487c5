"""Whatever an engine does, a question comes to exactly one result: an answer, the next model, or an end that says why."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from backbone.settings import REPOSITORY, Settings
from deciders.fleet import Fleet
from schemas.context import read_context
from schemas.decision import Decision, failed_of
from schemas.halt import Halt, HaltMode
from schemas.headers import CONTEXT_ID, REASON, SRC, header_text
from schemas.policy import Policy
from schemas.question import resolve
from schemas.record import Record
from schemas.result import Result
from schemas.route import Route
from schemas.source import Source
from schemas.tagged import Hop, question_from_tag, tag_for
from schemas.topic import is_replay
from tests.unit.samples import body, policy, record
from tests.unit.samples import replayed as from_long_ago
from workers.admission import Admission
from workers.ask import REPLAYED_HUNG_TIMES, Asker, undecidable
from workers.catalogue import load_catalogue, serve
from workers.engine import LIVE, REPLAY, Ask, EngineDied
from workers.engine_scripted import ScriptedEngine

pytestmark = pytest.mark.unit

POLICY = policy()
CATALOGUE = REPOSITORY / "deploy" / "models"
SERVED = serve(load_catalogue(CATALOGUE)["phi3"], CATALOGUE, None)


@dataclass
class Said:
    """What topic `control` says, without a topic."""

    halts: list[Halt] = field(default_factory=list)
    fresh: bool = True

    def halt_for(self, bot_id: str, symbol: str, model: str | None) -> Halt | None:
        return self.halts[0] if self.halts else None

    def policy(self, digest: str | None = None) -> Policy | None:
        return POLICY


def asker(script: str = "{}", said: Said | None = None, running: tuple[str, ...] = ("phi3", "deepseek"), **fields: Any) -> Asker:
    engine = ScriptedEngine(SERVED, script)
    settings = Settings(models=running, **fields)
    return Asker(settings, SERVED, engine, said or Said(), Admission(4, engine.vitals), Fleet(running))  # type: ignore[arg-type]


def tagged(chosen: str = "phi3", **fields: Any) -> Record:
    """A record of this model's topic, routed a moment ago."""
    now_ms = int(time.time() * 1000)
    came = replace(record(body(context_id="c1", **fields)), timestamp_ms=now_ms)
    question = resolve(read_context(came), came, POLICY)
    tag = tag_for(question, chosen, Route(rule="sentiment", policy=POLICY.digest), now_ms)
    output = Hop(came, question, "phi3", tag).output
    return Record(Source(output.topic, 1, 5), output.key, output.value, output.headers, now_ms)


def replayed(run_id: str = "run-1") -> Record:
    """A record of this model's topic of replays, of a question from years ago."""
    came = from_long_ago(body(context_id="c1"), run_id=run_id)
    question = resolve(read_context(came), came, POLICY)
    now_ms = int(time.time() * 1000)
    tag = tag_for(question, "phi3", Route(rule="sentiment", policy=POLICY.digest), now_ms)
    output = Hop(came, question, "phi3", tag).output
    return Record(Source(output.topic, 1, 5), output.key, output.value, output.headers, now_ms)


def decision(result: Result) -> Decision:
    (output,) = result.outputs
    assert output.topic == "decisions", output.topic
    assert header_text(output.headers, SRC) == "contexts/3/17"
    return Decision.from_bytes(output.value)


async def test_an_answer_becomes_a_decision_that_waits_for_its_keys_earlier_ones() -> None:
    result = await asker().decide(tagged())
    made = decision(result)
    assert result.ordered and result.again is not None
    assert made.model is not None and made.model.name == "phi3"
    assert [(each.model, each.outcome) for each in made.route.attempts] == [("phi3", "answered")]
    assert made.confidence == pytest.approx(made.probs.of(made.proposed.action))  # type: ignore[union-attr]
    assert made.generation is not None and made.generation.key


async def test_the_same_question_gets_the_same_answer() -> None:
    asked = tagged()
    first, second = [decision(await asker().decide(asked)) for _ in range(2)]
    assert (first.proposed, first.probs, first.generation) == (second.proposed, second.probs, second.generation)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("raise", "raised"), ("nan", "not_finite"), ("cut", "cut_off"), ("wrong_symbol", "wrong_symbol"),
        ("big", "too_long"), ("garbage", "raised"), ("hang", "hung"),
    ],
)  # fmt: skip
async def test_a_failure_is_handed_on_with_its_trail(fault: str, outcome: str) -> None:
    result = await asker(f'{{"faults": {{"{fault}": ""}}}}', hung_s=0.05).decide(tagged())
    (output,) = result.outputs
    assert output.topic == "contexts.deepseek" and not result.ordered
    handed = Record(Source(output.topic, 0, 0), output.key, output.value, output.headers, 0)
    question, tag = question_from_tag(handed)
    assert question.context_id == "c1"
    assert [(each.model, each.outcome) for each in tag.route.attempts] == [("phi3", f"failed:{outcome}")]
    (failure,) = failed_of(handed)
    assert (failure.model, failure.why) == ("phi3", outcome)
    assert len(failure.text.encode()) <= 2048


async def test_at_the_chains_end_there_is_no_valid_answer() -> None:
    result = await asker('{"faults": {"garbage": ""}}', running=("phi3",)).decide(tagged())
    made = decision(result)
    assert made.status == "ABSTAINED_BAD_OUTPUT"
    assert made.generation is not None and [each.why for each in made.generation.failed] == ["raised"]


async def test_without_fallback_nobody_else_is_asked() -> None:
    result = await asker('{"faults": {"cut": ""}}').decide(tagged(fallback=False))
    assert decision(result).status == "ABSTAINED_BAD_OUTPUT"


async def test_a_question_whose_time_runs_out_while_it_is_asked_is_expired() -> None:
    made = decision(await asker('{"faults": {"hang": ""}}').decide(tagged(ttl_ms=80)))
    assert made.status == "EXPIRED"
    assert [each.outcome for each in made.route.attempts] == ["failed:hung"]


async def test_nothing_expires_before_its_time_where_a_timer_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    stands_still_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr("workers.ask.now_ms", lambda: stands_still_ms)
    made = decision(await asker('{"faults": {"hang": ""}}').decide(tagged(ttl_ms=80)))
    assert (made.status, made.decided_at) == ("EXPIRED", made.valid_until)


async def test_a_question_whose_time_is_over_is_not_asked() -> None:
    asked = tagged(ttl_ms=1)
    await asyncio.sleep(0.01)
    made = decision(await asker('{"faults": {"die": ""}}').decide(asked))
    assert (made.status, made.route.attempts) == ("EXPIRED", ())


async def in_a_crowd(own: Asker, asked: Record) -> Decision:
    """What comes of it while four others, as many as the engine computes at once, are being asked."""
    others = [asyncio.create_task(own.decide(tagged(symbol=f"OTHER{n}"))) for n in range(4)]
    await asyncio.sleep(0.01)
    made = decision(await own.decide(asked))
    await asyncio.gather(*others)
    return made


async def test_a_question_without_the_time_for_an_answer_is_not_asked_while_others_want_the_engine() -> None:
    own = asker('{"delay_ms": 300}')
    for _ in range(8):
        own.service.note("full", 200.0, 1.0)
    asked = tagged(ttl_ms=150)
    made = await in_a_crowd(own, asked)
    assert (made.status, made.route.attempts, made.timings_ms.answered) == ("EXPIRED", (), None)
    assert made.decided_at >= (made.valid_until or ""), "nothing is called expired before its time is over"
    assert "phi3:" in made.route.reason and "an answer takes 200 ms, and others wait: not asked" in made.route.reason


async def test_it_is_asked_where_the_engine_has_a_place_to_spare_or_its_time_suffices() -> None:
    own = asker('{"delay_ms": 20}')
    for _ in range(8):
        own.service.note("full", 200.0, 1.0)
    alone = decision(await own.decide(tagged(ttl_ms=150)))
    assert [each.outcome for each in alone.route.attempts] == ["answered"], "so a model that is quick again is found out"
    assert [each.outcome for each in (await in_a_crowd(own, tagged(ttl_ms=60_000))).route.attempts] == ["answered"]


async def test_its_own_answers_say_how_long_one_takes() -> None:
    own = asker('{"delay_ms": 30}')
    assert own.service.median_ms() is None
    await own.decide(tagged())
    median_ms = own.service.median_ms()
    assert median_ms is not None and 30 <= median_ms < 300


@pytest.mark.parametrize(("topic", "priority"), [("contexts.phi3", LIVE), ("replay.contexts.phi3", REPLAY)])
async def test_what_is_replayed_is_asked_behind_what_is_live(topic: str, priority: int, monkeypatch: pytest.MonkeyPatch) -> None:
    own, asks = asker(), list[Ask]()
    answer = own.engine.ask

    async def seen(ask: Ask) -> Any:
        asks.append(ask)
        return await answer(ask)

    monkeypatch.setattr(own.engine, "ask", seen)
    asked = replayed() if is_replay(topic) else tagged()
    assert asked.source.topic == topic
    await own.decide(asked)
    assert [each.priority for each in asks] == [priority]


async def test_a_replay_is_decided_whatever_clock_and_halts_say_now() -> None:
    own = asker(said=Said([Halt(why="stop")], fresh=False), enable_llm_trading=False)
    result = await own.decide(replayed())
    (output,) = result.outputs
    made = Decision.from_bytes(output.value)
    assert (output.topic, header_text(output.headers, "run-id")) == ("replay.decisions", "run-1")
    assert made.status in {"DECIDED", "ABSTAINED_LOW_CONFIDENCE", "BLOCKED_BY_RISK"}
    assert made.route.halt is None
    assert [each.outcome for each in made.route.attempts] == ["answered"]
    assert result.again is None, "no later clock turns it into something else"
    assert made.timings_ms.routed is None
    assert made.timings_ms.total is not None and made.timings_ms.total < 60_000, "its wait is this run's"


async def test_a_replays_answer_says_nothing_of_how_long_live_ones_take() -> None:
    own = asker('{"delay_ms": 30}')
    await own.decide(replayed())
    assert own.service.median_ms() is None


async def test_a_replay_that_fails_is_handed_on_among_replays_and_its_silence_is_borne_for_longer() -> None:
    own = asker('{"faults": {"hang": ""}}', hung_s=0.05)
    began_s = time.monotonic()
    (output,) = (await own.decide(replayed())).outputs
    assert time.monotonic() - began_s >= REPLAYED_HUNG_TIMES * 0.05
    assert output.topic == "replay.contexts.deepseek"
    assert header_text(output.headers, "run-id") == "run-1"


async def test_a_full_halt_is_not_asked_either() -> None:
    made = decision(await asker('{"faults": {"die": ""}}', Said([Halt(why="stop")])).decide(tagged()))
    assert (made.status, made.route.attempts) == ("HALTED", ())


async def test_switched_off_trading_halts() -> None:
    assert decision(await asker(enable_llm_trading=False).decide(tagged())).status == "HALTED"


async def test_a_dead_engine_ends_the_process_and_no_question() -> None:
    with pytest.raises(EngineDied):
        await asker('{"faults": {"die": ""}}').decide(tagged())


async def test_a_record_that_is_not_the_routers_is_dead() -> None:
    result = await asker().decide(record(body(), topic="contexts.phi3"))
    (output,) = result.outputs
    assert (output.topic, header_text(output.headers, REASON)) == ("contexts.dlq", "undecidable")


def test_a_record_that_is_given_up_keeps_the_name_of_its_question() -> None:
    (output,) = undecidable(tagged(), "it ended everybody who read it").outputs
    assert (header_text(output.headers, SRC), header_text(output.headers, CONTEXT_ID)) == ("contexts/3/17", "c1")


async def test_a_slot_comes_back_whatever_happens() -> None:
    for fault in ("raise", "cut", "hang", "die"):
        own = asker(f'{{"faults": {{"{fault}": ""}}}}', hung_s=0.01)
        with suppress(EngineDied):
            await own.decide(tagged())
        assert await own.admission.room() == 8


async def acting(said: Said) -> tuple[Result, Decision]:
    """A result that acts, whichever context the script answers so."""
    for price in range(1, 100):
        result = await asker(said=said).decide(tagged(context={"price": price}, symbol=f"S{price}"))
        if (made := decision(result)).acts and made.action != "CLOSE":
            return result, made
    raise AssertionError("the script never acts")


async def test_what_acts_goes_out_as_it_is_only_while_control_is_fresh() -> None:
    said = Said()
    result, made = await acting(said)
    now_ms = int(time.time() * 1000)
    assert result.again is not None and made.valid_until is not None
    assert result.again(now_ms) is result
    said.fresh = False
    assert result.again(now_ms) is None, "nobody knows: it waits"
    turned = result.again(now_ms + 60_000)
    assert turned is not None and decision(turned).status == "HALTED" and not turned.ordered
    assert "control" in (decision(turned).reason or "")


async def test_what_acts_is_turned_by_its_deadline_and_by_a_halt() -> None:
    said = Said()
    result, _ = await acting(said)
    assert result.again is not None
    now_ms = int(time.time() * 1000)
    late = result.again(now_ms + 60_000)
    assert late is not None and decision(late).status == "EXPIRED" and not late.ordered
    assert late.again is not None and late.again(now_ms + 70_000) is late, "turned once, it stays so"
    said.halts.append(Halt(why="stop"))
    halted = result.again(now_ms)
    assert halted is not None and decision(halted).status == "HALTED" and not halted.ordered
    said.halts.clear()
    assert halted.again is not None and halted.again(now_ms) is halted, "a halt that is lifted calls nothing back"


async def test_under_a_reducing_halt_what_still_stands_keeps_its_place_in_line() -> None:
    said = Said()
    result, _ = await acting(said)
    said.halts.append(Halt(mode=HaltMode.REDUCE_ONLY))
    assert result.again is not None
    turned = result.again(int(time.time() * 1000))
    assert turned is not None and turned is not result
    assert turned.ordered == (decision(turned).status not in ("EXPIRED", "HALTED"))
    assert turned.again is not None and turned.again(int(time.time() * 1000)) is turned
