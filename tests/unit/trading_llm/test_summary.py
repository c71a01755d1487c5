"""What a feed came to, and what of it does not hold."""

from __future__ import annotations

import pytest

from gateway.outcome import Answered, Dead, Outcome
from schemas.decision import Decision, ModelUsed, Status
from schemas.route import Route
from schemas.source import Source
from trading_llm.feed import _shares
from trading_llm.rows import row_of
from trading_llm.summary import Summary, lines, summarise
from trading_llm.trail import tree

pytestmark = pytest.mark.unit

MODELS = ("deepseek", "phi3")


def decision(model: str = "phi3", status: Status = Status.DECIDED) -> Decision:
    return Decision(
        decision_id="d",
        context_id="c",
        content_digest="x",
        bot_id="bot",
        symbol="BTCUSDT",
        horizon_s=900,
        status=status,
        model=ModelUsed(name=model, id="id", revision="1", engine="scripted"),
        route=Route(rule="default", reason="no rule holds", features={"has_position": "unknown"}),
        as_of="2026-01-31T12:00:00.000Z",
        decided_at="2026-01-31T12:00:01.500Z",
        valid_until="2026-01-31T12:01:00.000Z",
        confidence=0.75,
        rationale="[bold] is text, not a mark",
    )


def answered(offset: int, model: str = "phi3", status: Status = Status.DECIDED) -> Answered:
    value = decision(model, status).to_bytes()
    return Answered(source(offset), ("bot", "BTCUSDT", str(offset)), "x", model, status, "HOLD", value, 0)


def source(offset: int) -> Source:
    return Source("contexts", 0, offset)


def summary_of(outcomes: list[Outcome], sent: int = 10) -> Summary:
    return summarise({source(n) for n in range(sent)}, outcomes, {source(n): float(n) for n in range(sent)})


GOOD: list[Outcome] = [answered(n, MODELS[n % 2]) for n in range(10)]


def test_a_feed_in_which_all_holds_has_no_flaw() -> None:
    summary = summary_of(GOOD)
    assert summary.verdict == "10 contexts, 10 outcomes, 0 twice"
    assert summary.flaws(10, MODELS) == []


def test_a_context_without_an_outcome_is_a_flaw() -> None:
    flaws = summary_of(GOOD[:-1]).flaws(10, MODELS)
    assert flaws == ["10 contexts, 9 outcomes, 0 twice; it must be 10 contexts, 10 outcomes, 0 twice"]


def test_a_context_that_was_not_sent_is_a_flaw() -> None:
    assert summary_of(GOOD[:9], sent=9).flaws(10, MODELS)


def test_a_second_outcome_is_counted_and_is_a_flaw() -> None:
    twice = summary_of([*GOOD, Dead(source(3), "undecidable", "")])
    assert (twice.outcomes, twice.twice) == (10, 1)
    assert len(twice.flaws(10, MODELS)) == 1


def test_the_first_of_two_outcomes_is_the_one_shown() -> None:
    assert summary_of([*GOOD, Dead(source(3), "undecidable", "")]).statuses == {"DECIDED": 10}


def test_outcomes_of_others_do_not_count() -> None:
    assert summary_of([*GOOD, answered(99), answered(99)]).verdict == "10 contexts, 10 outcomes, 0 twice"


def test_a_model_that_answered_less_than_a_tenth_is_a_flaw() -> None:
    assert summary_of(GOOD).flaws(10, (*MODELS, "qwen")) == ["qwen answered 0 of 10: less than a tenth"]


def test_fewer_than_half_decided_is_a_flaw() -> None:
    some = [answered(n, MODELS[n % 2], Status.DECIDED if n < 4 else Status.BLOCKED_BY_RISK) for n in range(10)]
    assert summary_of(some).flaws(10, MODELS) == ["4 of 10 are DECIDED: less than half"]


def test_the_latencies_are_those_that_so_many_did_not_exceed() -> None:
    summary = summary_of(GOOD)
    assert (summary.latency_ms(0.5), summary.latency_ms(0.99), summary_of([], 0).latency_ms(0.5)) == (5.0, 9.0, None)


def test_the_summary_ends_with_its_verdict() -> None:
    shown = lines(summary_of(GOOD))
    assert shown[-1] == "10 contexts, 10 outcomes, 0 twice"
    assert shown[0].endswith("deepseek 5, phi3 5")


@pytest.mark.parametrize(("total", "parts"), [(300, 12), (7, 12), (25, 12)])
def test_the_shares_of_the_bots_add_up_and_differ_by_one_at_most(total: int, parts: int) -> None:
    shares = list(_shares(total, parts))
    assert sum(shares) == total and len(shares) == parts and max(shares) - min(shares) <= 1


def test_a_row_shows_what_the_table_promises() -> None:
    cells = row_of(answered(1), 12.4).cells
    assert cells == ("12:00:01.500", "BTCUSDT", "phi3", "default", "DECIDED", "HOLD", "0.75", "12 ms")


def test_a_dead_letter_has_a_row_too() -> None:
    assert row_of(Dead(source(1), "not_json", "")).status == "dead letter: not_json"


def test_the_trail_shows_text_of_others_as_text() -> None:
    from io import StringIO

    from rich.console import Console

    shown = StringIO()
    Console(file=shown, width=200).print(tree(decision(), {"src": "contexts/0/1", "at": "decisions/0/2"}))
    text = shown.getvalue()
    for expected in ("DECIDED HOLD", "[bold] is text, not a mark", "no rule holds", "contexts/0/1", "confidence 0.750"):
        assert expected in text
