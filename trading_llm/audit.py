"""`trading-llm audit`: whether every context of a running pipeline got exactly one outcome, judged from its logs alone."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from backbone.errors import Transient
from schemas.topic import Side
from trading_llm import say
from trading_llm.exits import Away
from trading_llm.fault import INVARIANTS, Invariant
from trading_llm.hearing import hear
from trading_llm.surroundings import settings
from trading_llm.verdict import Verdict

EXAMPLES_SHOWN = 5
Wait = Annotated[float, typer.Option(min=0, max=3_600, help="Seconds in which contexts sent before must come to their outcome.")]

Replays = Annotated[bool, typer.Option("--replays", help="Judge what is replayed, on the topics `replay.*`, instead.")]


def audit(wait: Wait = 60.0, replays: Replays = False, json: say.Json = False) -> None:
    """Judge every context sent before now: one outcome each, in order, with true marks, and every byte under the contract.

    What is sent from now on is left out. Exit 0: all of it holds. 1: it does not, or there is nothing to judge. 3: Kafka is away.
    """
    side = Side.REPLAYS if replays else Side.LIVE
    try:
        found = asyncio.run(hear(settings(), wait, side))
    except Transient as error:
        raise Away(str(error)) from None
    if json:
        say.document(document(found))
    else:
        for line in lines(found):
            print(line)
    say.check(not found.faults, f"does not hold: {', '.join(each.id for each in INVARIANTS if not _holds(found, each))}")
    say.check(found.holds, f"there is nothing to judge on topic {side.contexts}")


def document(found: Verdict) -> dict[str, Any]:
    """The verdict for programs."""
    return {
        "holds": found.holds,
        "contexts": found.contexts,
        "outcomes": found.outcomes,
        "later": found.later,
        "gone": found.gone,
        "statuses": dict(found.statuses),
        "invariants": [
            {
                "id": each.id,
                "name": each.name,
                "counted": found.counted[each.id],
                "holds": _holds(found, each),
                "faults": [
                    {"kind": kind, "count": found.faults[kind].count, "examples": found.faults[kind].examples}
                    for kind in each.kinds
                    if kind in found.faults
                ],
            }
            for each in INVARIANTS
        ],
    }


def lines(found: Verdict) -> list[str]:
    """The verdict for people: one line an invariant."""
    shown = [f"{each.id} {each.name:<10}  {found.counted[each.id]}: {_said(found, each)}" for each in INVARIANTS]
    by_status = ", ".join(f"{name} {count}" for name, count in found.statuses.items()) or "no outcome"
    left_out = [
        f"{found.later} outputs of contexts that came later" if found.later else "",
        f"{found.gone} contexts whose outcome may have been deleted by now" if found.gone else "",
    ]
    out = f"; left out: {', '.join(each for each in left_out if each)}" if any(left_out) else ""
    return [*shown, f"{found.contexts} contexts, {found.outcomes} outcomes ({by_status}){out}"]


def _holds(found: Verdict, invariant: Invariant) -> bool:
    return not any(kind in found.faults for kind in invariant.kinds)


def _said(found: Verdict, invariant: Invariant) -> str:
    if _holds(found, invariant):
        return "holds"
    wrong = [(kind, found.faults[kind]) for kind in invariant.kinds if kind in found.faults]
    return "; ".join(f"{kind} ({each.count}): {', '.join(each.examples[:EXAMPLES_SHOWN])}" for kind, each in wrong)
