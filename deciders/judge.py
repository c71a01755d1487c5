"""What becomes of one record of `contexts`: the next hop, a decision that needs no model, or a dead letter. Pure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from deciders.dedupe import Name, Names, Seen
from deciders.features import Features, compute_features
from deciders.fleet import Fleet
from deciders.outcome import Moment, expired, halted, no_model, rejected
from deciders.routing import Chosen, NoModel
from schemas.canonical import digest
from schemas.context import ContextEvent, read_context
from schemas.dead_letter import dead_letter_output
from schemas.decision import Decision, Timings, decision_output
from schemas.halt import Halt, HaltMode
from schemas.origin import default_context_id, run_id_of
from schemas.policy import Policy
from schemas.question import Question, resolve
from schemas.record import Record
from schemas.refusal import DeadLettered, Reason, Rejected
from schemas.result import Result
from schemas.route import Route
from schemas.tagged import Hop, as_written, tag_for

Choose = Callable[[Question, Features, Policy, Fleet], Chosen | NoModel]
HaltFor = Callable[[Question], Halt | None]


@dataclass(frozen=True, slots=True)
class World:
    """What a choice depends on beside the record: the policy in force, the fleet, the halts, and how models are chosen."""

    policy: Policy
    fleet: Fleet
    choose: Choose
    halt_for: HaltFor


def judge(record: Record, dedupe: Names, world: World, now_ms: int) -> Result:
    """The one result of this record. Remembers its name in `dedupe`."""
    return as_written(routed(record, dedupe, world, now_ms))


def routed(record: Record, dedupe: Names, world: World, now_ms: int) -> Hop | Result:
    """The same, with its next hop not written yet: for who takes that one by himself."""
    try:
        return _routed(record, dedupe, world, now_ms)
    except DeadLettered as refusal:
        letter = dead_letter_output(record, record.source, refusal.reason, refusal.detail, refusal.context_id)
        return Result(record, (letter,))
    except Rejected as refusal:
        return _decided(record, rejected(record, refusal, world.policy, now_ms))


def remember(record: Record, dedupe: Names) -> None:
    """Take in the name of a record that was judged before, by this process or another."""
    with suppress(DeadLettered):  # a record that has no name, or one that was somebody else's first
        try:
            _take(_name_of(record, read_context(record)), record, dedupe)
        except Rejected as refusal:
            _take_refused(record, refusal, dedupe)


def _routed(record: Record, dedupe: Names, world: World, now_ms: int) -> Hop | Result:
    try:
        event = read_context(record)
        _take(_name_of(record, event), record, dedupe)
        question = resolve(event, record, world.policy)
    except Rejected as refusal:
        _take_refused(record, refusal, dedupe)
        raise
    route = Route(policy=world.policy.digest)
    moment = Moment(now_ms, _timings(record, now_ms))
    if question.is_over(now_ms):
        return _decided(record, expired(question, route, moment))
    halt = world.halt_for(question)
    if halt is not None and halt.mode is HaltMode.FULL:
        return _decided(record, halted(question, route, halt, moment))
    features = compute_features(event.context, world.policy.features)
    choice = world.choose(question, features, world.policy, world.fleet)
    if isinstance(choice, NoModel):
        return _decided(record, no_model(question, choice, moment))
    tag = tag_for(question, choice.chosen, choice.route, now_ms)
    return Hop(record, question, choice.model, tag)


def _name_of(record: Record, event: ContextEvent) -> Name:
    own = event.context_id
    return Name(run_id_of(record), event.bot_id, event.symbol, default_context_id(record) if own is None else own)


def _take(name: Name, record: Record, dedupe: Names) -> None:
    seen = dedupe.take(name, record.source.offset, digest(record.value))
    if seen is Seen.REPEATED:
        raise DeadLettered(
            Reason.DUPLICATE_CONTEXT_ID, f"context_id {name.context_id!r} was sent before; it is decided once", name.context_id
        )
    if seen is Seen.REUSED:
        raise DeadLettered(
            Reason.CONTEXT_ID_REUSED, f"context_id {name.context_id!r} was sent before with other content", name.context_id
        )


def _take_refused(record: Record, refusal: Rejected, dedupe: Names) -> None:
    sender = refusal.envelope
    context_id = default_context_id(record) if sender.context_id is None else sender.context_id
    _take(Name(run_id_of(record), sender.bot_id, sender.symbol, context_id), record, dedupe)


def _timings(record: Record, now_ms: int) -> Timings:
    """By the record's own log time: a replayed question was received when its original was."""
    passed_ms = max(0, now_ms - record.timestamp_ms)
    return Timings(routed=passed_ms, total=passed_ms)


def _decided(record: Record, decision: Decision) -> Result:
    return Result(record, (decision_output(record, record.source, decision),), decision=decision)
