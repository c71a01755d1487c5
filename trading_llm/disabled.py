"""The answer of a client whose trading is switched off: nothing was asked, and nothing stands in the log."""

from __future__ import annotations

from schemas.canonical import digest, rfc3339
from schemas.context import read_event
from schemas.decision import Decision, Status
from schemas.halt import TRADING_DISABLED
from schemas.question import decision_id
from schemas.route import Route

HORIZON_S = 900  # the contract's default; nothing is settled of a question that nobody asked
TTL_MS = 60_000


def halted(value: bytes, context_id: str, now_ms: int) -> Decision:
    """The HALTED decision of this question. Raises DeadLettered or Rejected where it is none."""
    event = read_event(value, now_ms)
    ttl_ms = TTL_MS if event.ttl_ms is None else event.ttl_ms
    return Decision(
        decision_id=decision_id(event.bot_id, event.symbol, context_id),
        context_id=context_id,
        content_digest=digest(value),
        bot_id=event.bot_id,
        symbol=event.symbol,
        horizon_s=event.horizon_s or HORIZON_S,
        experiment=event.experiment,
        status=Status.HALTED,
        route=Route(halt=TRADING_DISABLED, reason="the client asked nothing"),
        reason=f"{TRADING_DISABLED.scope}: {TRADING_DISABLED.why}",
        as_of=rfc3339(now_ms if event.as_of is None else event.as_of),
        decided_at=rfc3339(now_ms),
        valid_until=rfc3339(now_ms + ttl_ms if event.expires_at is None else event.expires_at),
        price_ref=event.context.price_ref,
    )
