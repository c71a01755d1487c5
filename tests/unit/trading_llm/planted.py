"""Faults to plant in a good log by hand, each with the kind by which the verdict must name it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from backbone.progress import Mark
from schemas.record import Record
from schemas.refusal import Reason
from schemas.route import Attempt
from schemas.source import Source
from tests.unit.samples import LOGGED_MS
from tests.unit.trading_llm.good_log import HUNG, at, context, dead_letter, decided, hop, outcome, over
from trading_llm import fault
from trading_llm.verdict import Logs

Plant = Callable[[Logs], Logs]


def less(log: str, index: int) -> Plant:
    return lambda logs: replace(logs, **{log: tuple(r for n, r in enumerate(getattr(logs, log)) if n != index)})


def more(log: str, made: Callable[[Logs], Record]) -> Plant:
    return lambda logs: replace(logs, **{log: (*getattr(logs, log), made(logs))})


def other(log: str, index: int, **fields: object) -> Plant:
    def plant(logs: Logs) -> Logs:
        changed = tuple(replace(each, **fields) if n == index else each for n, each in enumerate(getattr(logs, log)))
        return replace(logs, **{log: changed})

    return plant


def too_soon(logs: Logs) -> Record:
    """The first context, expired at once, though it has its minute."""
    return over(logs.contexts[0], 0)


def headed(log: str, index: int, name: str, *values: bytes) -> Plant:
    """This output with these headers of this name, and no others of it."""

    def plant(logs: Logs) -> Logs:
        kept = tuple(pair for pair in getattr(logs, log)[index].headers if pair[0] != name)
        return other(log, index, headers=kept + tuple((name, value) for value in values))(logs)

    return plant


def where(**fields: object) -> Plant:
    return lambda logs: replace(logs, offsets=replace(logs.offsets, **fields))


def marked(topic: str, committed: tuple[int, str]) -> Plant:
    def plant(logs: Logs) -> Logs:
        return where(committed={**logs.offsets.committed, (topic, 0): committed})(logs)

    return plant


def both(*plants: Plant) -> Plant:
    def plant(logs: Logs) -> Logs:
        for each in plants:
            logs = each(logs)
        return logs

    return plant


def swap_first_two(logs: Logs) -> Logs:
    first, second, *rest = logs.decisions
    return replace(logs, decisions=(second, first, *rest))


def about_another(logs: Logs) -> Logs:
    wrong = replace(logs.decisions[0], value=decided(logs.contexts[1]).to_bytes())
    return replace(logs, decisions=(wrong, *logs.decisions[1:]))


def without_clamps(logs: Logs) -> Logs:
    fields = json.loads(logs.decisions[0].value)
    del fields["clamps"]
    return other("decisions", 0, value=json.dumps(fields).encode())(logs)


def same_name(logs: Logs) -> Logs:
    again = context(9, context_id="c0")
    return replace(logs, contexts=(*logs.contexts, again), decisions=(*logs.decisions, outcome(again, 9)))


def unanswered(logs: Logs) -> Logs:
    """The last answer of phi3 is not there, and its lane still stands before the question."""
    return both(less("decisions", 1), marked("contexts.phi3", at(Mark(1, frozenset({2})))))(logs)


def never_read(logs: Logs) -> Logs:
    """One context more, which the router's lane has not come to."""
    return both(more("contexts", lambda _: context(9)), where(ends={("contexts", 0): 10}))(logs)


def acknowledged(logs: Logs) -> Logs:
    """A bot was told that its context lies where nothing is."""
    return replace(logs, acknowledged=[Source("contexts", 1, 0)])


def less_seen(logs: Logs) -> Logs:
    """It passed over one that lay between."""
    return replace(logs, seen=(logs.seen[0], *logs.seen[2:]))


def more_seen(logs: Logs) -> Logs:
    return replace(logs, seen=(*logs.seen, outcome(logs.contexts[1], 9)))


def overtaken(logs: Logs) -> Logs:
    """The question was handed on; then the owner that had slept through that decided it all the same."""
    return both(less("decisions", 4), more("decisions", lambda each: outcome(each.contexts[2], 4)))(logs)


def no_letter_but(reason: Reason, index: int) -> Plant:
    def plant(logs: Logs) -> Logs:
        letters = [each for each in logs.dead_letters if each.source.offset != index]
        cause = logs.contexts[index + 3]
        return replace(logs, dead_letters=(*letters, dead_letter(cause, 9, reason, "c0")))

    return plant


def also_decided(index: int, *attempts: Attempt, **fields: object) -> Plant:
    return more("decisions", lambda logs: outcome(logs.contexts[index], 9, *attempts, **fields))


def also_dead(index: int, reason: Reason, context_id: str | None = None) -> Plant:
    return more("dead_letters", lambda logs: dead_letter(logs.contexts[index], 9, reason, context_id))


def also_sent(index: int, *attempts: Attempt) -> Plant:
    return more("hops", lambda logs: hop(logs.contexts[index], 9, *attempts))


def also_for(log: str, src: bytes) -> Plant:
    """The first output of this log once more, as if it were about another context."""
    return more(log, lambda logs: getattr(headed(log, 0, "src", src)(logs), log)[0])


def seen(plant: Plant) -> Plant:
    """A reader saw the decisions before this was done to the log."""
    return lambda logs: plant(replace(logs, seen=logs.decisions))


FIVE_MS = over(context(7, ttl_ms=5), 3)
LOST_ON_THE_WAY = both(less("hops", 0), less("decisions", 0))
PLANTED: dict[str, tuple[str, Plant]] = {
    "an outcome is missing": (fault.LOST, less("decisions", 0)),
    "a dead letter is missing": (fault.LOST, less("dead_letters", 0)),
    "a context was acknowledged and is not there": (fault.LOST, acknowledged),
    "an outcome has not come": (fault.WAITING, unanswered),
    "an outcome is there twice": (fault.TWICE, also_decided(0)),
    "a decision and a dead letter": (fault.TWICE, also_dead(0, Reason.UNDECIDABLE)),
    "a context was routed twice": (fault.TWICE, also_sent(0)),
    "a context was handed on twice": (fault.TWICE, also_sent(2, HUNG)),
    "an id was decided twice": (fault.ID_TWICE, same_name),
    "an owner decided after its lane was claimed": (fault.OVERTAKEN, overtaken),
    "the router gave up what it had sent on": (fault.OVERTAKEN, also_dead(0, Reason.NOT_JSON)),
    "two decisions of a key changed places": (fault.MISORDERED, swap_first_two),
    "a decision has no cause": (fault.PHANTOM, more("decisions", lambda _: outcome(context(77), 9))),
    "a hop has no cause": (fault.PHANTOM, more("hops", lambda _: hop(context(77), 9))),
    "a decision names no source": (fault.PHANTOM, headed("decisions", 0, "src")),
    "a decision names a source of another topic": (fault.PHANTOM, headed("decisions", 0, "src", b"replay.contexts/0/0")),
    "a model answered that was not asked": (fault.PHANTOM, less("hops", 0)),
    "a hop follows no hop": (fault.PHANTOM, less("hops", 2)),
    "an answer is of another model than was asked last": (fault.PHANTOM, also_decided(0, model=decided(context(2), HUNG).model)),
    "a decision answers another context": (fault.SWAPPED, about_another),
    "a decision lies under another key": (fault.SWAPPED, other("decisions", 0, key=b"other")),
    "a decision names another context": (fault.SWAPPED, headed("decisions", 0, "context-id", b"c1")),
    "a decision lost the bot's headers": (fault.SWAPPED, headed("decisions", 0, "mine")),
    "a decision is valid for longer than was asked": (fault.SWAPPED, other("decisions", 3, value=FIVE_MS.value)),
    "a hop carries other bytes": (fault.SWAPPED, other("hops", 0, value=b"{}")),
    "a dead letter was cut though it fits": (fault.SWAPPED, other("dead_letters", 0, value=b'{"con')),
    "a dead letter was cut elsewhere than it says": (fault.SWAPPED, other("dead_letters", 3, value=b" " * 65_535)),
    "a cut dead letter has a wrong length": (fault.SWAPPED, headed("dead_letters", 3, "length", b"300001")),
    "a cut dead letter has a wrong digest": (fault.SWAPPED, headed("dead_letters", 3, "sha256", b"0" * 64)),
    "a dead letter is null that was not": (fault.SWAPPED, other("dead_letters", 0, tombstone=True)),
    "a reader saw a record that is gone": (fault.REWRITTEN, seen(less("decisions", 1))),
    "a reader saw another record": (fault.REWRITTEN, seen(about_another)),
    "a reader did not see a record between": (fault.REWRITTEN, seen(less_seen)),
    "a reader saw more than there is": (fault.REWRITTEN, seen(more_seen)),
    "a hop does not parse": (fault.MALFORMED, headed("hops", 0, "route", b"{}")),
    "a hop has a broken trail": (fault.MALFORMED, headed("hops", 0, "failed", b"{}")),
    "a decision does not parse": (fault.MALFORMED, other("decisions", 0, value=b"{}")),
    "a decision leaves a field out": (fault.MALFORMED, without_clamps),
    "a decision says another schema": (fault.MALFORMED, headed("decisions", 0, "schema", b"decision/2")),
    "a decision says no content-type": (fault.MALFORMED, headed("decisions", 0, "content-type")),
    "a decision has a header twice": (fault.MALFORMED, headed("decisions", 0, "context-id", b"c0", b"c0")),
    "a decision has a dead letter's header": (fault.MALFORMED, headed("decisions", 0, "reason", b"not_json")),
    "a context that is no JSON was decided": (fault.MALFORMED, also_for("decisions", b"contexts/0/5")),
    "a context that breaks the contract was decided": (fault.MALFORMED, also_for("decisions", b"contexts/0/6")),
    "a context that breaks the contract was sent on": (fault.MALFORMED, also_for("hops", b"contexts/0/6")),
    "a dead letter has an unknown reason": (fault.MALFORMED, headed("dead_letters", 0, "reason", b"tired")),
    "a dead letter says nothing to a person": (fault.MALFORMED, headed("dead_letters", 0, "detail")),
    "a cut dead letter does not say so": (fault.MALFORMED, headed("dead_letters", 3, "truncated")),
    "a halt is none": (fault.MALFORMED, other("notices", 2, value=b'{"mode": "perhaps"}')),
    "a policy is another one": (fault.MALFORMED, other("notices", 0, key=b"policy/" + b"0" * 64)),
    "no policy is in force": (fault.MALFORMED, other("notices", 1, value=b"null")),
    "control says something unknown": (fault.MALFORMED, other("notices", 3, key=b"halt/everything")),
    "a model's status does not parse": (fault.MALFORMED, other("notices", 4, value=b'{"name": "phi3"}')),
    "a model's status is another's": (fault.MALFORMED, other("notices", 4, key=b"qwen")),
    "a repeat of nothing": (fault.WRONG_REASON, also_dead(1, Reason.DUPLICATE_CONTEXT_ID, "c1")),
    "a repeat that is a reuse": (fault.WRONG_REASON, no_letter_but(Reason.DUPLICATE_CONTEXT_ID, 1)),
    "a reuse that is a repeat": (fault.WRONG_REASON, no_letter_but(Reason.CONTEXT_ID_REUSED, 0)),
    "a sound context is called no JSON": (fault.WRONG_REASON, no_letter_but(Reason.NOT_JSON, 0)),
    "what is no JSON is called too large": (fault.WRONG_REASON, no_letter_but(Reason.TOO_LARGE, 2)),
    "a decision acts in the moment it is over": (fault.LATE, other("decisions", 0, timestamp_ms=LOGGED_MS + 60_000)),
    "a decision expired a minute early": (fault.EARLY, both(less("decisions", 0), more("decisions", too_soon))),
    "a key's decisions lie in two partitions": (fault.SCATTERED, other("decisions", 1, source=Source("decisions", 3, 0))),
    "a key's hops lie in two partitions": (fault.SCATTERED, other("hops", 1, source=Source("contexts.phi3", 1, 1))),
    "a decision acts too late": (fault.LATE, other("decisions", 0, timestamp_ms=LOGGED_MS + 60_001)),
    "the router's mark runs ahead": (fault.MARK_AHEAD, LOST_ON_THE_WAY),
    "a worker's mark runs ahead": (fault.MARK_AHEAD, less("decisions", 4)),
    "a mark runs ahead of the log": (fault.MARK_AHEAD, marked("contexts", at(Mark(10)))),
    "a bitmap runs ahead of the log": (fault.MARK_AHEAD, marked("contexts", at(Mark(9, frozenset({11}))))),
    "the router's mark stays behind": (fault.MARK_BEHIND, marked("contexts", at(Mark(1)))),
    "a worker's bitmap stays behind": (fault.MARK_BEHIND, marked("contexts.phi3", at(Mark(0, frozenset({2}))))),
    "a transaction hangs": (fault.OPEN, where(open_places=[("decisions", 0)])),
    "a record was never delivered": (fault.UNFINISHED, never_read),
    "a record was delivered and not finished": (fault.UNFINISHED, unanswered),
    "a lane has no offset": (fault.STUCK, marked("contexts.qwen", (-1, ""))),
    "a lane has somebody else's metadata": (fault.STUCK, marked("contexts.qwen", (1, "mine:0:"))),
    "a lane stands below its log": (fault.STUCK, where(starts={("contexts.qwen", 0): 2})),
}  # fmt: skip
