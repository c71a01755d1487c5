"""Asks the model one question and makes of whatever happens exactly one result."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace

from backbone import telemetry
from backbone.control import Control
from backbone.errors import Transient
from backbone.lane import now_ms
from backbone.settings import Settings
from backbone.stops import reach
from deciders.answer import AnswerMode, RawAnswer
from deciders.asked import NO_HALTS_KNOWN, Asked, Generated, Judgement, NoAnswer, Put
from deciders.fleet import Fleet
from schemas.dead_letter import dead_letter_output
from schemas.decision import Decision, FailedGeneration, failed_of
from schemas.halt import TRADING_DISABLED, Halt
from schemas.headers import CONTEXT_ID, header_text
from schemas.question import Question
from schemas.record import Record
from schemas.refusal import DeadLettered, Reason, Rejected
from schemas.result import Result
from schemas.source import Source
from schemas.tagged import as_written, question_from_tag, source_of
from schemas.topic import is_replay
from workers.admission import Admission
from workers.catalogue import Served
from workers.engine import LIVE, REPLAY, Ask, Engine, EngineFailed, Priority
from workers.service_times import ServiceTimes

POLICY_WAIT_S = 5.0  # a policy put in force a moment ago reaches every reader of `control` well within this
# The engine computes a replayed question when live ones leave it a place: silence on it says little, but it must end.
REPLAYED_HUNG_TIMES = 10


@dataclass(frozen=True, slots=True)
class Asker:
    """One worker's model, and all that a question to it needs."""

    settings: Settings
    served: Served
    engine: Engine
    control: Control
    admission: Admission
    fleet: Fleet
    service: ServiceTimes = field(default_factory=ServiceTimes)

    @property
    def model(self) -> str:
        """The name of the model it asks."""
        return self.served.entry.name

    async def decide(self, record: Record) -> Result:
        """The result of one record of this model's topic. Raises EngineDied; nothing else that a record can cause."""
        try:
            asked = await self._asked(record)
        except (DeadLettered, Rejected, ValueError) as refusal:
            return undecidable(record, f"its record on {record.source.topic} cannot be read: {refusal}")
        async with self.admission.slot(_priority(record)):
            asked = replace(asked, asked_at_ms=now_ms())
            if (ended := asked.ended(self._halt_for(asked.question))) is not None:
                return ended
            mode = asked.policy.mode(self.model, asked.tag.route.rule)
            if (late := self._late(asked, mode)) is None:
                return await self._put(asked, self._ask(asked, mode))
        return await self._run_out(late)

    async def _asked(self, record: Record) -> Asked:
        question, tag = question_from_tag(record)
        until_s = asyncio.get_running_loop().time() + POLICY_WAIT_S
        while (policy := self.control.policy(tag.route.policy)) is None:
            if asyncio.get_running_loop().time() > until_s:
                raise Transient(f"policy {tag.route.policy} is not on topic control: run `trading-llm topics apply`")
            await asyncio.sleep(0.1)
        return Asked(record, question, tag, policy, self.model, failed_of(record))

    def _late(self, asked: Asked, mode: AnswerMode) -> Asked | None:
        """The question as one that is not asked, where its answer would come too late; None where it is to be asked.

        Only while others want the engine: one that has a place to spare loses nothing by trying, and so a model that has become
        slow is found out, and one that has become quick again.
        """
        if self.admission.turns <= 1:
            return None
        left_ms, needed_ms = asked.question.left_ms(asked.asked_at_ms), self.service.needed_ms(mode)
        if left_ms is None or left_ms >= needed_ms:
            return None
        telemetry.NOT_ASKED.labels(self.model).inc()
        return asked.unasked(f"{left_ms} ms were left, an answer takes {needed_ms:.0f} ms, and others wait: not asked")

    async def _run_out(self, late: Asked) -> Result:
        """Nothing is called expired before its time is over: it waits for that, and holds no slot."""
        over_ms = late.question.valid_until_ms
        await asyncio.sleep(max(0, over_ms - now_ms()) / 1000)
        return late.expired(max(now_ms(), over_ms))

    def _ask(self, asked: Asked, mode: AnswerMode) -> Ask:
        prompt = asked.prompt(self.served.serving.template)
        return Ask(str(asked.record.source), prompt, mode, _priority(asked.record))

    async def _put(self, asked: Asked, ask: Ask) -> Result:
        raw = await self._generate(asked, ask)
        reach("decide.after_answer")
        return self._judged(asked, ask, raw)

    async def _generate(self, asked: Asked, ask: Ask) -> RawAnswer | NoAnswer | None:
        """The raw answer, or what went wrong instead; None where the question's time ran out first."""
        hung_s = self.settings.hung_s * (REPLAYED_HUNG_TIMES if asked.question.is_replayed else 1)
        left_ms = asked.question.left_ms(now_ms())
        left_s = math.inf if left_ms is None else left_ms / 1000
        telemetry.IN_FLIGHT.labels(self.model).inc()
        try:
            async with asyncio.timeout(max(0.0, min(left_s, hung_s))):
                return await (self.engine.ask(ask) if asked.question.is_replayed else self._timed(ask))
        except TimeoutError:
            return NoAnswer("hung", f"no answer within {hung_s:.0f} s") if left_s > hung_s else None
        except EngineFailed as error:
            return NoAnswer("raised", str(error))
        finally:
            telemetry.IN_FLIGHT.labels(self.model).dec()

    async def _timed(self, ask: Ask) -> RawAnswer:
        """The answer to a live question, whose time counts: a replayed one takes as long as live ones let it wait."""
        began_s = time.monotonic()
        with telemetry.ANSWER_S.labels(self.model).time():
            raw = await self.engine.ask(ask)
        self.service.note(ask.mode, (time.monotonic() - began_s) * 1000, self.admission.turns)
        return raw

    def _judged(self, asked: Asked, ask: Ask, raw: RawAnswer | NoAnswer | None) -> Result:
        if raw is None:  # a timer of uvloop ends up to a millisecond early, and nothing expires before its time
            return asked.tried("failed:hung", now_ms()).expired(max(now_ms(), asked.question.valid_until_ms))
        put = Put(ask.prompt, ask.mode, self.engine.parts(ask), self.engine.used(asked.question.as_of_ms))
        heard = asked.heard(put, raw)
        if isinstance(heard, FailedGeneration):
            return as_written(asked.handed_on(heard, self.fleet, now_ms()))
        return self._publishable(asked, heard)

    def _publishable(self, asked: Asked, generated: Generated) -> Result:
        judgement = Judgement(asked, generated, self.settings.min_llm_confidence, now_ms())
        if asked.question.is_replayed:  # neither the log's clock nor a halt of today can turn it into something else
            return judgement.result(judgement.decision(None, judgement.answered_at_ms))
        return self._at(judgement, self._halt_for(asked.question), judgement.answered_at_ms)

    def _at(self, judgement: Judgement, halt: Halt | None, log_ms: int) -> Result:
        """What may be published at this log time; an answer that acts is looked at again at every later one."""
        decision = judgement.decision(halt, log_ms)
        result = judgement.result(decision)

        def again(later_ms: int) -> Result | None:
            return self._again(judgement, decision, following, later_ms)

        following = replace(result, again=again)
        return following

    def _again(self, judgement: Judgement, decision: Decision, result: Result, log_ms: int) -> Result | None:
        question = judgement.asked.question
        over = question.is_over(log_ms)
        if decision.acts and not self.control.fresh:
            return self._at(judgement, NO_HALTS_KNOWN, min(log_ms, question.valid_until_ms - 1)) if over else None
        halt = self._halt_for(question)
        was_over = question.is_over(judgement.answered_at_ms)
        if halt == decision.route.halt and (over == was_over or decision.status == "EXPIRED"):
            return result
        return result if decision.status in ("EXPIRED", "HALTED") else self._at(judgement, halt, log_ms)

    def _halt_for(self, question: Question) -> Halt | None:
        if question.is_replayed:
            return None
        if not self.settings.enable_llm_trading:
            return TRADING_DISABLED
        return self.control.halt_for(question.bot_id, question.symbol, self.model)


def _priority(record: Record) -> Priority:
    return REPLAY if is_replay(record.source.topic) else LIVE


def undecidable(record: Record, detail: str) -> Result:
    """The dead letter of a record that no decision can describe."""
    try:
        src = source_of(record)
    except ValueError:
        src = Source(record.source.topic, record.source.partition, record.source.offset)
    own_id = header_text(record.headers, CONTEXT_ID)
    return Result(record, (dead_letter_output(record, src, Reason.UNDECIDABLE, detail, own_id),))
