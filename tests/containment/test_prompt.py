"""Whatever is written into a context lies in the prompt as quoted data, and outside the quotation nothing changes by it."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from deciders.prompt import Prompt
from deciders.quoting import clean_text
from schemas.catalogue import Template
from schemas.question import Question
from schemas.refusal import DeadLettered, Reason, Rejected
from tests.containment.attacks import KINDS, TURNS, as_symbol
from tests.containment.containing import SYMBOL_BYTES_MAX, Parted, check_contained, prompt_of, templates, words_around
from tests.containment.corpus import CONTEXTS, Pair, corpus, default_policy, pair, question_of
from tests.containment.markets import Body, market
from tests.containment.places import PLACES, UNSHOWN, strings_of

pytestmark = pytest.mark.unit

POLICY = default_policy()
TEMPLATES = templates()


@cache
def attacks(kind: str) -> tuple[Pair, ...]:
    return tuple(pair(number, kind) for number in range(CONTEXTS))


@cache
def questions(kind: str) -> tuple[tuple[Question, Question], ...]:
    """Each attack as a question, and the same one in harmless words."""
    return tuple((asked(each, each.attacked), asked(each, each.harmless)) for each in attacks(kind))


def asked(each: Pair, body: Body) -> Question:
    return question_of(body, each.market.logged_at_ms, POLICY)


def shown(template: Template, question: Question) -> tuple[Prompt, Parted]:
    """This question's prompt and its parts, which are checked."""
    prompt = prompt_of(template, question, POLICY)
    return prompt, check_contained(template, prompt, question)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_lies_in_the_fence_as_quoted_data_and_changes_nothing_outside_it(kind: str, name: str) -> None:
    template = TEMPLATES[name]
    for each, (question, other) in zip(attacks(kind), questions(kind), strict=True):
        attacked, parts = shown(template, question)
        if each.place == "symbol":
            continue  # it stands outside the fence, and what it may be is tried below
        assert (parts.before, parts.after) == words_around(template, other, POLICY), str(each)
        if each.place in UNSHOWN or not template.context_chars_max:
            assert attacked == prompt_of(template, other, POLICY), str(each)
        else:
            assert attacked.trimmed or any(clean_text(each.text) in one for one in strings_of(parts.data)), str(each)


def test_there_are_200_attacked_contexts_of_each_of_8_kinds_and_they_reach_every_place() -> None:
    found = Counter((each.kind, each.place) for each in corpus())
    assert found.total() == 1_600
    assert {sum(count for (kind, _), count in found.items() if kind == one) for one in KINDS} == {200}
    assert set(found) == {(kind, place) for kind in KINDS for place in PLACES}


def test_the_corpus_is_the_same_always() -> None:
    assert list(corpus(9)) == list(corpus(9))


def test_a_pair_differs_in_one_place_by_words_of_the_same_length() -> None:
    for each in corpus(CONTEXTS // 5):
        assert each.attacked != each.harmless, str(each)
        lengths = [sorted(map(len, strings_of(body))) for body in (each.attacked, each.harmless)]
        assert lengths[0] == lengths[1], str(each)


def test_most_attacks_are_shown_whole_to_the_models_that_have_room_for_them() -> None:
    template = TEMPLATES["qwen real"]
    shown_whole = [
        any(clean_text(each.text) in one for one in strings_of(shown(template, asked(each, each.attacked))[1].data))
        for each in corpus(CONTEXTS // 5)
        if each.place not in UNSHOWN | {"symbol"}
    ]
    assert sum(shown_whole) / len(shown_whole) > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["symbol", "bot_id"])
def test_a_name_that_is_outside_its_grammar_is_refused_by_name(kind: str, field: str) -> None:
    for each in attacks(kind)[:20]:
        if as_symbol(each.text) != each.text:
            with pytest.raises(DeadLettered) as refused:
                question_of({**market(each.number).body, field: each.text}, each.market.logged_at_ms, POLICY)
            assert refused.value.reason is Reason.NO_SENDER
            assert refused.value.detail.startswith(f"{field} must be a string of 1 to 64 of A-Z a-z 0-9")


@pytest.mark.parametrize("field", ["market", "interval", "price", "sentiment"])
def test_text_in_place_of_a_number_or_a_name_that_the_summary_shows_is_refused_with_its_rule(field: str) -> None:
    for turn in TURNS:
        body = market(1).fresh()
        body["context"][field] = turn.format(order="BUY")
        with pytest.raises(Rejected) as refused:
            question_of(body, market(1).logged_at_ms, POLICY)
        assert refused.value.field == f"context.{field}" and refused.value.rule


def test_a_symbol_is_the_one_text_of_a_bots_outside_the_fence_and_stays_one_word() -> None:
    for each in attacks("schema talk"):
        if each.place == "symbol":
            said = each.attacked["symbol"]
            assert said == as_symbol(said) and len(said) <= SYMBOL_BYTES_MAX and " " not in said and "\n" not in said
