"""The checker of runs is not blind: each anomaly, planted by hand into a good log, is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from backbone.progress import Mark
from deciders.limits import Bounds, clamp
from deciders.outcome import Moment, Said, answered
from schemas.context import read_context
from schemas.dead_letter import dead_letter_output
from schemas.decision import Action, Decision, ModelUsed, Proposed, Tokens, decision_output
from schemas.question import resolve
from schemas.record import Output, Record
from schemas.refusal import Reason
from schemas.route import Attempt, Route
from schemas.source import Source
from schemas.tagged import tag_for, tagged_output
from tests.support import verdict
from tests.support.verdict import Logs, judge
from tests.unit.samples import LOGGED_MS, body, policy

pytestmark = pytest.mark.unit

POLICY = policy()
MODEL = ModelUsed(name="phi3", id="P", revision="1", engine="scripted")
KEY = b"momentum_bot:BTCUSDT"


def context(offset: int) -> Record:
    value = json.dumps(body(context_id=f"c{offset}", experiment=f"weight {offset}")).encode()
    return Record(Source("contexts", 0, offset), KEY, value, (), LOGGED_MS)


def written(output: Output, offset: int, log_ms: int = LOGGED_MS + 50) -> Record:
    return Record(Source(output.topic, 0, offset), output.key, output.value, output.headers, log_ms)


def hop(cause: Record, offset: int, *attempts: Attempt) -> Record:
    question = resolve(read_context(cause), cause, POLICY)
    route = Route(rule="default", policy=POLICY.digest, attempts=attempts)
    model = "qwen" if attempts else "phi3"
    return written(tagged_output(cause, question, model, tag_for(question, "phi3", route, LOGGED_MS + 1)), offset)


def decided(cause: Record, **fields: object) -> Decision:
    question = resolve(read_context(cause), cause, POLICY)
    proposed = Proposed(action=Action.BUY, size_pct=0.01)
    limited = clamp(proposed, 0.9, question, Bounds(POLICY, "phi3", 0.7, None, LOGGED_MS + 40))
    route = Route(rule="default", policy=POLICY.digest, attempts=(Attempt(model="phi3", outcome="answered", ms=5.0),))
    said = Said(MODEL, proposed, 0.9, "label", None, "", Tokens(), None)
    return answered(question, route, said, limited, Moment(LOGGED_MS + 40)).model_copy(update=fields)


def outcome(cause: Record, offset: int, **fields: object) -> Record:
    return written(decision_output(cause, cause.source, decided(cause, **fields)), offset)


def dead_letter(cause: Record, offset: int) -> Record:
    return written(dead_letter_output(cause, cause.source, Reason.DUPLICATE_CONTEXT_ID, "sent before"), offset)


def good() -> Logs:
    contexts = tuple(context(offset) for offset in range(4))
    return Logs(
        contexts=contexts,
        hops=tuple(hop(each, each.source.offset) for each in contexts[:3]),
        decisions=tuple(outcome(each, each.source.offset) for each in contexts[:3]),
        dead_letters=(dead_letter(contexts[3], 0),),
        marks={("contexts", 0): Mark(4), ("contexts.phi3", 0): Mark(3)},
    )


def test_a_good_log_holds() -> None:
    found = judge(good())
    assert found.holds, str(found)
    assert (found.contexts, found.outcomes) == (4, 4)
    assert found.statuses == {"DECIDED": 3, "dead:duplicate_context_id": 1}


def test_an_empty_log_proves_nothing() -> None:
    assert not judge(Logs((), (), (), ())).holds


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


def marked(place: str, mark: Mark) -> Plant:
    return lambda logs: replace(logs, marks={(place, 0): mark})


def swap_first_two(logs: Logs) -> Logs:
    first, second, *rest = logs.decisions
    return replace(logs, decisions=(second, first, *rest))


def handed_on_twice(logs: Logs) -> Logs:
    failed = Attempt(model="phi3", outcome="failed:hung", ms=1.0)
    return replace(logs, hops=(*logs.hops, hop(logs.contexts[0], 7, failed), hop(logs.contexts[0], 8, failed)))


def about_another(logs: Logs) -> Logs:
    wrong = decision_output(logs.contexts[0], logs.contexts[0].source, decided(logs.contexts[1]))
    return replace(logs, decisions=(written(wrong, 0), *logs.decisions[1:]))


def same_name(logs: Logs) -> Logs:
    again = replace(context(9), value=logs.contexts[0].value)
    return replace(logs, contexts=(*logs.contexts, again), decisions=(*logs.decisions, outcome(again, 9)))


def lost_on_the_way(logs: Logs) -> Logs:
    return replace(logs, hops=logs.hops[1:], decisions=logs.decisions[1:])


PLANTED: dict[str, tuple[str, Plant]] = {
    "an outcome is missing": (verdict.LOST, less("decisions", 0)),
    "a dead letter is missing": (verdict.LOST, less("dead_letters", 0)),
    "an outcome is there twice": (verdict.TWICE, more("decisions", lambda logs: outcome(logs.contexts[0], 9))),
    "a decision and a dead letter": (verdict.TWICE, more("dead_letters", lambda logs: dead_letter(logs.contexts[0], 9))),
    "a context was routed twice": (verdict.TWICE, more("hops", lambda logs: hop(logs.contexts[0], 9))),
    "a context was handed on twice": (verdict.TWICE, handed_on_twice),
    "an id was decided twice": (verdict.ID_TWICE, same_name),
    "two decisions of a key changed places": (verdict.MISORDERED, swap_first_two),
    "a decision has no cause": (verdict.PHANTOM, more("decisions", lambda logs: outcome(context(77), 9))),
    "a hop has no cause": (verdict.PHANTOM, more("hops", lambda logs: hop(context(77), 9))),
    "a decision names no source": (verdict.PHANTOM, other("decisions", 0, headers=())),
    "a decision answers another context": (verdict.SWAPPED, about_another),
    "a decision lies under another key": (verdict.SWAPPED, other("decisions", 0, key=b"other")),
    "a hop carries other bytes": (verdict.SWAPPED, other("hops", 0, value=b"{}")),
    "a dead letter was cut though it fits": (verdict.SWAPPED, other("dead_letters", 0, value=b'{"con')),
    "a dead letter is null that was not": (verdict.SWAPPED, other("dead_letters", 0, tombstone=True)),
    "a dead letter has an unknown reason": (verdict.MALFORMED, other("dead_letters", 0, headers=(("src", b"contexts/0/3"),))),
    "a decision does not parse": (verdict.MALFORMED, other("decisions", 0, value=b"{}")),
    "a decision acts too late": (verdict.LATE, other("decisions", 0, timestamp_ms=LOGGED_MS + 60_001)),
    "the router's offset runs ahead": (verdict.MARK_AHEAD, lost_on_the_way),
    "a worker's offset runs ahead": (verdict.MARK_AHEAD, less("decisions", 2)),
    "the router's offset stays behind": (verdict.MARK_BEHIND, marked("contexts", Mark(1))),
    "a worker's bitmap stays behind": (verdict.MARK_BEHIND, marked("contexts.phi3", Mark(0, frozenset({2})))),
    "a transaction hangs": (verdict.OPEN, lambda logs: replace(logs, open_places=[("decisions", 0)])),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_it_finds_that(what: str) -> None:
    kind, plant = PLANTED[what]
    assert kind in judge(plant(good())).faults, str(judge(plant(good())))


def test_a_send_that_timed_out_may_have_no_outcome() -> None:
    logs = good()
    unsure = replace(logs, decisions=logs.decisions[1:], marks={}, acknowledged=[each.source for each in logs.contexts[1:]])
    assert judge(unsure).holds
