"""Moments and ranges of time as a person gives them to a command."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from schemas.canonical import parse_rfc3339, rfc3339
from schemas.market import interval_ms
from trading_llm.exits import WrongUse

SKEW_MS = 60_000  # between this clock and the log's
MOMENT = "RFC 3339 with an offset, such as 2026-01-31T12:00:00Z, or how long ago: 30m, 1h, 2d."
From = Annotated[str, typer.Option("--from", help=f"The first moment by the log's clock: {MOMENT}", show_default=False)]
To = Annotated[str | None, typer.Option("--to", help="The moment before which it ends, told alike; now, where there is none.")]


def span_of(since: str, until: str | None) -> tuple[int, int]:
    """From when and up to when, in epoch ms; WrongUse where that is no range."""
    now_ms = int(time.time() * 1000)
    from_ms = moment_ms(since, now_ms, "--from")
    to_ms = now_ms if until is None else moment_ms(until, now_ms, "--to")
    if to_ms > now_ms + SKEW_MS:
        raise WrongUse(f"--to {until}: lies in the future, and what comes until then would be left out; leave it out for now")
    if from_ms >= to_ms:
        raise WrongUse("--from must lie before --to")
    return from_ms, to_ms


def as_options(from_ms: int, to_ms: int) -> str:
    """The range as the options that name it, whenever they are given."""
    return f"--from {rfc3339(from_ms)} --to {rfc3339(to_ms)}"


def moment_ms(text: str, now_ms: int, option: str) -> int:
    """The moment that this text names."""
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        flaw = error
    try:
        return now_ms - interval_ms(text)
    except ValueError:
        raise WrongUse(f"{option} {text}: {flaw}, or how long ago it is: 30m, 1h, 2d") from None
