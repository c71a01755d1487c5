"""The verdict is not blind: each anomaly, planted by hand into a good log, is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from backbone.progress import Mark
from schemas.refusal import Reason
from tests.unit.samples import LOGGED_MS
from tests.unit.trading_llm.good_log import at, context, dead_letter, decided, good, hop, outcome
from tests.unit.trading_llm.planted import (
    PLANTED,
    Plant,
    also_decided,
    both,
    headed,
    less,
    marked,
    more,
    other,
    swap_first_two,
    unanswered,
    where,
)
from trading_llm import fault
from trading_llm.case import IDS_WINDOW, Case, repeat_faults
from trading_llm.docket import Docket
from trading_llm.evidence import of_context, of_decision
from trading_llm.fault import EXAMPLES_MAX, INVARIANTS
from trading_llm.verdict import Logs, judge

pytestmark = pytest.mark.unit

OUTPUTS = ("hops", "decisions", "dead_letters")


def test_a_good_log_holds() -> None:
    found = judge(good())
    assert found.holds, str(found)
    assert (found.contexts, found.outcomes) == (9, 9)
    assert found.statuses == {
        "DECIDED": 3, "REJECTED": 1, "EXPIRED": 1, "dead:duplicate_context_id": 1, "dead:context_id_reused": 1,
        "dead:not_json": 1, "dead:too_large": 1,
    }  # fmt: skip


def test_every_invariant_says_what_it_was_judged_on() -> None:
    assert judge(good()).counted.keys() == {each.id for each in INVARIANTS}


def test_every_kind_of_fault_breaks_one_invariant() -> None:
    kinds = [kind for invariant in INVARIANTS for kind in invariant.kinds]
    named = {value for name, value in vars(fault).items() if name.isupper() and isinstance(value, str)}
    assert len(kinds) == len(set(kinds)) and set(kinds) == named


def test_an_empty_log_proves_nothing() -> None:
    assert not judge(Logs((), (), (), ())).holds


@pytest.mark.parametrize("what", PLANTED)
def test_it_finds_that(what: str) -> None:
    kind, plant = PLANTED[what]
    found = judge(plant(good()))
    assert kind in found.faults, str(found)
    assert found.faults[kind].examples[0]


@pytest.mark.parametrize(
    ("plant", "alone"),
    [
        (both(less("decisions", 0), where(committed={})), fault.LOST),
        (also_decided(1), fault.TWICE),
        (swap_first_two, fault.MISORDERED),
        (headed("decisions", 0, "mine"), fault.SWAPPED),
        (headed("decisions", 0, "schema", b"decision/2"), fault.MALFORMED),
        (other("decisions", 0, timestamp_ms=LOGGED_MS + 60_001), fault.LATE),
        (marked("contexts", at(Mark(1))), fault.MARK_BEHIND),
        (marked("contexts", at(Mark(10))), fault.MARK_AHEAD),
        (where(open_places=[("decisions", 0)]), fault.OPEN),
    ],
)
def test_it_blames_nothing_else(plant: Plant, alone: str) -> None:
    assert judge(plant(good())).faults.keys() == {alone}


def test_what_is_still_on_its_way_is_not_called_lost() -> None:
    assert judge(unanswered(good())).faults.keys() == {fault.WAITING, fault.UNFINISHED}


def test_an_outcome_written_between_the_two_looks_at_the_marks_is_neither_ahead_nor_behind() -> None:
    before = {**good().offsets.committed, ("contexts.phi3", 0): at(Mark(0))}
    assert judge(where(committed=before, committed_later=good().offsets.committed)(good())).holds


def test_an_outcome_that_the_earlier_mark_claims_must_be_there_whatever_the_later_one_says() -> None:
    later = {**good().offsets.committed, ("contexts.phi3", 0): at(Mark(0))}
    found = judge(where(committed_later=later)(less("decisions", 0)(good())))
    assert fault.MARK_AHEAD in found.faults


def test_a_context_without_a_key_keeps_no_order() -> None:
    keyless = [replace(context(offset), key=None) for offset in range(2)]
    hops = [hop(each, each.source.offset) for each in keyless]
    decisions = [outcome(keyless[1], 0), outcome(keyless[0], 1)]
    assert judge(Logs(tuple(keyless), tuple(hops), tuple(decisions), ())).holds


def test_a_record_that_nobody_could_read_may_be_given_up_whatever_it_is() -> None:
    logs = good()
    given_up = dead_letter(logs.contexts[1], 9, Reason.UNDECIDABLE)
    assert judge(replace(less("decisions", 1)(logs), dead_letters=(*logs.dead_letters, given_up))).holds


@pytest.mark.parametrize(("others", "kinds"), [(IDS_WINDOW - 1, {fault.ID_TWICE}), (IDS_WINDOW, set())])
def test_an_id_is_decided_once_among_as_many_as_must_be_remembered(others: int, kinds: set[str]) -> None:
    named = []
    for rank, record in ((0, context(0)), (others + 1, context(1, context_id="c0"))):
        named.append((record.source, Case(of_context(record), rank, (), (of_decision(record, decided(record)),))))
    assert {kind for kind, _ in repeat_faults(named, from_start=True)} == kinds


def test_only_contexts_with_a_name_are_counted_among_those_to_be_remembered() -> None:
    docket = Docket()
    for each in good().contexts:
        docket.enter(each)
    assert [case.rank for _, case in docket.cases()] == [0, 1, 2, 3, 4, 5, 5, 6, 7]


def test_a_log_that_starts_above_0_is_judged_from_there() -> None:
    logs = good()
    started = replace(logs, contexts=logs.contexts[3:], offsets=replace(logs.offsets, starts={("contexts", 0): 3}))
    found = judge(started)
    assert found.holds, str(found)
    assert (found.contexts, found.outcomes) == (6, 6), "the outcomes of what was deleted are left out"


def test_a_context_whose_outcome_may_have_been_deleted_is_left_out() -> None:
    logs = where(gone_ms={"contexts.dlq": LOGGED_MS})(less("dead_letters", 0)(good()))
    found = judge(logs)
    assert found.holds and found.gone == 1, str(found)
    assert fault.LOST in judge(where(gone_ms={"contexts.dlq": LOGGED_MS - 1})(logs)).faults


def test_an_answer_needs_no_hop_where_that_may_have_been_deleted() -> None:
    logs = replace(good(), hops=())
    gone_ms = {"contexts.phi3": LOGGED_MS, "contexts.qwen": LOGGED_MS}
    assert judge(where(gone_ms=gone_ms)(logs)).holds
    assert judge(where(models=())(logs)).holds, "nor where its model's topic was not read"
    assert fault.PHANTOM in judge(logs).faults


def test_however_much_is_wrong_a_few_examples_are_kept() -> None:
    contexts = tuple(context(offset) for offset in range(100))
    found = judge(Logs(contexts, (), (), ()))
    assert found.faults[fault.LOST].count == 100
    assert len(found.faults[fault.LOST].examples) == EXAMPLES_MAX


def drop(logs: Logs, data: st.DataObject) -> Logs:
    log = data.draw(st.sampled_from(OUTPUTS))
    return less(log, data.draw(st.integers(0, len(getattr(logs, log)) - 1)))(logs)


def duplicate(logs: Logs, data: st.DataObject) -> Logs:
    log = data.draw(st.sampled_from(OUTPUTS))
    again = data.draw(st.sampled_from(getattr(logs, log)))
    return more(log, lambda _: replace(again, source=replace(again.source, offset=99)))(logs)


def swap(logs: Logs, data: st.DataObject) -> Logs:
    """Two outputs of one kind answer each other's contexts."""
    log = data.draw(st.sampled_from(OUTPUTS))
    records = getattr(logs, log)
    one, another = data.draw(st.lists(st.integers(0, len(records) - 1), min_size=2, max_size=2, unique=True))
    src = [dict(records[n].headers)["src"] for n in (one, another)]
    if src[0] == src[1]:  # the two hops of one context
        return both(other(log, one, value=b"{}"))(logs)
    return both(headed(log, one, "src", src[1]), headed(log, another, "src", src[0]))(logs)


def move_a_mark(logs: Logs, data: st.DataObject) -> Logs:
    topic, _ = data.draw(st.sampled_from(sorted(logs.offsets.committed)))
    offset = data.draw(st.integers(0, 12))
    ahead = data.draw(st.frozensets(st.integers(offset + 1, offset + 12), max_size=12))
    good_mark = logs.offsets.committed[topic, 0]
    moved = at(Mark(offset, ahead))
    return marked(topic, at(Mark(offset + 1)) if moved == good_mark else moved)(logs)


@given(st.sampled_from([drop, duplicate, swap, move_a_mark]), st.data())
def test_no_change_of_a_good_log_is_overlooked(change: Callable[[Logs, st.DataObject], Logs], data: st.DataObject) -> None:
    event(change.__name__)
    found = judge(change(good(), data))
    assert not found.holds
