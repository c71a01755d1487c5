"""One context with everything that answers it: whether each step follows from the one before, and one ends it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from schemas.decision import Status
from schemas.refusal import Reason
from schemas.size import ATTEMPTS_MAX
from schemas.source import Source
from schemas.topic import Side
from trading_llm.evidence import UNREADABLE, Context, Hop, Outcome
from trading_llm.fault import ID_TWICE, MALFORMED, OVERTAKEN, PHANTOM, TWICE, WRONG_REASON, Blame

# A repeat is told within the newest 20,000 ids of its partition, at least. Counted here in contexts, of which several may have
# one id: that is never more than was promised.
IDS_WINDOW: Final = 20_000
REPEATS: Final = frozenset((Reason.DUPLICATE_CONTEXT_ID, Reason.CONTEXT_ID_REUSED))
ROUTERS_OWN: Final = frozenset((Status.REJECTED, Status.ABSTAINED_NO_MODEL))  # no model was asked

Whole = Callable[[str, int], bool]  # whether this topic still holds all that was logged after this moment


@dataclass(slots=True)
class Case:
    """A context and what was heard of it. Tuples, because nearly all hold one.

    `rank`: how many contexts with a name lie before it in its partition.
    """

    context: Context
    rank: int = 0
    hops: tuple[Hop, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether one of its outcomes is a decision."""
        return any(outcome.reason is None for outcome in self.outcomes)


def case_faults(src: Source, case: Case, whole: Whole) -> Iterator[Blame]:
    """What is wrong with this case by itself."""
    if len(case.outcomes) > 1:
        yield TWICE, f"{src}: {len(case.outcomes)}: {', '.join(str(each.at) for each in case.outcomes[:5])}"
    for outcome in case.outcomes:
        yield from _refusal_faults(src, case.context, outcome)
    if case.hops and (case.context.refusal is not None or case.context.rejected):
        yield MALFORMED, f"{src} breaks the contract and was sent on as {case.hops[0].at}"
    trails = [*(hop.trail for hop in case.hops), *(outcome.trail or () for outcome in case.outcomes)]
    if all(len(trail) < ATTEMPTS_MAX for trail in trails):  # longer ones are cut, and prove nothing
        yield from _chain_faults(src, case, whole)


def repeat_faults(named: list[tuple[Source, Case]], from_start: bool) -> Iterator[Blame]:
    """What is wrong between the contexts of one name in one partition, in their order.

    `from_start`: the partition holds all it ever held, so that nothing can have been repeated that is not there.
    """
    for (one, before), (other, after) in pairwise([(src, case) for src, case in named if case.decided]):
        if after.rank - before.rank <= IDS_WINDOW:
            yield ID_TWICE, f"{one} and {other}"
    first, contents = named[0][1], set[bytes]()  # of the records before; one id may come a hundred thousand times
    for src, case in named:
        for outcome in case.outcomes:
            if outcome.reason in REPEATS and from_start and not _bears_out(outcome.reason, case, first, contents):
                yield WRONG_REASON, f"{outcome.at}: {src} is no {outcome.reason}"
        contents.add(case.context.content)


def _bears_out(reason: str | None, case: Case, first: Case, contents: set[bytes]) -> bool:
    """Whether an earlier record has its name, with the same content or with another, as the reason says.

    The first one counts; a later one where that lies beyond what must be remembered, or was itself given up unread.
    """
    content, repeats = case.context.content, reason == Reason.DUPLICATE_CONTEXT_ID
    given_up = any(outcome.reason == Reason.UNDECIDABLE for outcome in first.outcomes)
    if contents and case.rank - first.rank <= IDS_WINDOW and not given_up:
        return (first.context.content == content) == repeats
    return content in contents if repeats else bool(contents - {content})


def _refusal_faults(src: Source, context: Context, outcome: Outcome) -> Iterator[Blame]:
    """Whether it came to what the contract makes of its bytes."""
    if outcome.reason == Reason.UNDECIDABLE or outcome.status == UNREADABLE:
        return
    if outcome.reason is None:
        if context.refusal is not None:
            yield MALFORMED, f"{src} is {context.refusal}, and {outcome.at} decides it"
        elif context.rejected and outcome.status != Status.REJECTED:
            yield MALFORMED, f"{src} breaks the contract, and {outcome.at} is {outcome.status}"
    elif outcome.reason not in ({context.refusal} if context.refusal is not None else REPEATS):
        yield WRONG_REASON, f"{outcome.at}: {src} is not {outcome.reason or 'without a reason'}"


def _chain_faults(src: Source, case: Case, whole: Whole) -> Iterator[Blame]:
    sent, side = {(hop.at.topic, hop.trail) for hop in case.hops}, Side.of(src.topic)
    for attempts, count in Counter(len(hop.trail) for hop in case.hops).items():
        if count > 1:
            yield TWICE, f"{src} was sent on {count} times after {attempts} attempts"
    for at, trail in [(hop.at, hop.trail) for hop in case.hops] + [(each.at, each.trail or ()) for each in case.outcomes]:
        for number, (model, _, _) in enumerate(trail):
            asked = side.waiting(model)
            if (asked, trail[:number]) not in sent and whole(asked, case.context.logged_ms):
                yield PHANTOM, f"{at} says that {model} was asked about {src}, which was not sent to it"
    for outcome in case.outcomes:
        if outcome.model is not None and (not outcome.trail or outcome.trail[-1][0] != outcome.model):
            yield PHANTOM, f"{outcome.at} is an answer of {outcome.model} to {src}, which its trail does not say"
        furthest = max(case.hops, key=lambda hop: len(hop.trail), default=None)
        if furthest is not None and not _follows(outcome, furthest):
            yield OVERTAKEN, f"{outcome.at} ends {src}, which had been sent on as {furthest.at}"


def _follows(outcome: Outcome, furthest: Hop) -> bool:
    """Whether this outcome can come of the last hop, and not of a record before it, which that hop had finished."""
    if outcome.status == UNREADABLE or outcome.reason == Reason.UNDECIDABLE:
        return True
    if outcome.trail is None:  # a dead letter for any other reason is the router's
        return False
    if outcome.status in ROUTERS_OWN and len(outcome.trail) <= len(furthest.trail):
        return False
    return outcome.trail[: len(furthest.trail)] == furthest.trail
