"""A small log in which everything is right, with every way a context can end, to plant faults in."""

from __future__ import annotations

import json

from backbone.progress import Mark
from deciders.limits import Bounds, clamp
from deciders.outcome import Moment, Said, answered, expired, rejected
from schemas.context import read_context
from schemas.dead_letter import dead_letter_output
from schemas.decision import Action, Decision, ModelUsed, Proposed, Tokens, decision_output
from schemas.question import resolve
from schemas.record import Headers, Output, Record
from schemas.refusal import Reason, Rejected
from schemas.route import Attempt, Route
from schemas.source import Source
from schemas.tagged import Hop, tag_for
from tests.unit.samples import LOGGED_MS, POLICY_TEXT, body, policy
from trading_llm.standing import Offsets
from trading_llm.verdict import Logs

POLICY = policy()
KEY = b"momentum_bot:BTCUSDT"
HUNG = Attempt(model="phi3", outcome="failed:hung", ms=30.5)


def context(offset: int, headers: Headers = (("mine", b"1"),), **fields: object) -> Record:
    """A sound context, all of one key, each with content of its own."""
    named = {"context_id": f"c{offset}", "experiment": f"weight {offset}"}
    return Record(Source("contexts", 0, offset), KEY, json.dumps(body(**(named | fields))).encode(), headers, LOGGED_MS)


def written(output: Output, offset: int, log_ms: int = LOGGED_MS + 50) -> Record:
    """An output where it came to lie."""
    return Record(Source(output.topic, 0, offset), output.key, output.value, output.headers, log_ms, output.tombstone)


def hop(cause: Record, offset: int, *attempts: Attempt) -> Record:
    """The context on its way to phi3, or, after attempts, to qwen."""
    question = resolve(read_context(cause), cause, POLICY)
    route = Route(rule="default", policy=POLICY.digest, attempts=attempts)
    model = "qwen" if attempts else "phi3"
    return written(Hop(cause, question, model, tag_for(question, "phi3", route, LOGGED_MS + 1)).output, offset)


def decided(cause: Record, *attempts: Attempt, **fields: object) -> Decision:
    """The decision of phi3, or, after attempts, of qwen: it acts."""
    question = resolve(read_context(cause), cause, POLICY)
    name = "qwen" if attempts else "phi3"
    proposed = Proposed(action=Action.BUY, size_pct=0.01)
    limited = clamp(proposed, 0.9, question, Bounds(POLICY, name, 0.7, None, LOGGED_MS + 40))
    route = Route(rule="default", policy=POLICY.digest, attempts=(*attempts, Attempt(model=name, outcome="answered", ms=5.0)))
    said = Said(ModelUsed(name=name, id="P", revision="1", engine="scripted"), proposed, 0.9, "label", None, "", Tokens(), None)
    return answered(question, route, said, limited, Moment(LOGGED_MS + 40)).model_copy(update=fields)


def outcome(cause: Record, offset: int, *attempts: Attempt, **fields: object) -> Record:
    """That decision, where it lies."""
    return written(decision_output(cause, cause.source, decided(cause, *attempts, **fields)), offset)


def refused(cause: Record, offset: int) -> Record:
    """The decision on a context that breaks the contract."""
    try:
        read_context(cause)
    except Rejected as refusal:
        return written(decision_output(cause, cause.source, rejected(cause, refusal, POLICY, LOGGED_MS + 2)), offset)
    raise AssertionError(f"{cause.source} breaks nothing")


def over(cause: Record, offset: int) -> Record:
    """The decision on a context whose time had passed before it was sent anywhere."""
    question = resolve(read_context(cause), cause, POLICY)
    decision = expired(question, Route(policy=POLICY.digest), Moment(LOGGED_MS + 2))
    return written(decision_output(cause, cause.source, decision), offset)


def dead_letter(cause: Record, offset: int, reason: Reason, context_id: str | None = None) -> Record:
    """The context as a dead letter."""
    return written(dead_letter_output(cause, cause.source, reason, "for a person", context_id), offset)


def at(mark: Mark) -> tuple[int, str]:
    """A mark as a group commits it."""
    return mark.offset, mark.metadata()


def notices() -> tuple[Record, ...]:
    """What stands on `control` and `models.status`."""
    said = {
        f"policy/{POLICY.digest}": json.dumps({"text": POLICY_TEXT}).encode(),
        "policy/current": json.dumps(POLICY.digest).encode(),
        "halt/symbol/BTC/USDT": b'{"mode": "full", "why": "it is closed", "by": "me"}',
        "halt/all": None,
    }
    control = [
        Record(Source("control", 0, n), key.encode(), value or b"", (), LOGGED_MS, tombstone=value is None)
        for n, (key, value) in enumerate(said.items())
    ]
    status = b'{"name": "phi3", "state": "HEALTHY"}'
    return (*control, Record(Source("models.status", 0, 0), b"phi3", status, (), LOGGED_MS))


def good() -> Logs:
    """Decided twice, handed on, repeated, reused, no JSON, refused, over, and too large to be kept whole."""
    contexts = (
        context(0), context(1), context(2),
        context(3, context_id="c0", experiment="weight 0"), context(4, context_id="c0"),
        Record(Source("contexts", 0, 5), None, b"no JSON", (), LOGGED_MS),
        context(6, context={"price": -1}),
        context(7, ttl_ms=0),
        Record(Source("contexts", 0, 8), KEY, b" " * 300_000, (), LOGGED_MS),
    )  # fmt: skip
    ends = {"contexts": len(contexts), "contexts.phi3": 3, "contexts.qwen": 1, "decisions": 5, "contexts.dlq": 4, "control": 4}
    lanes = ("contexts", "contexts.phi3", "contexts.qwen")
    return Logs(
        contexts=contexts,
        hops=(*(hop(each, each.source.offset) for each in contexts[:3]), hop(contexts[2], 0, HUNG)),
        decisions=(
            outcome(contexts[0], 0), outcome(contexts[1], 1), refused(contexts[6], 2), over(contexts[7], 3),
            outcome(contexts[2], 4, HUNG),
        ),
        dead_letters=(
            dead_letter(contexts[3], 0, Reason.DUPLICATE_CONTEXT_ID, "c0"),
            dead_letter(contexts[4], 1, Reason.CONTEXT_ID_REUSED, "c0"),
            dead_letter(contexts[5], 2, Reason.NOT_JSON),
            dead_letter(contexts[8], 3, Reason.TOO_LARGE),
        ),
        notices=notices(),
        offsets=Offsets(
            committed={(lane, 0): at(Mark(ends[lane])) for lane in lanes},
            ends={(topic, 0): end for topic, end in ends.items()},
        ),
    )  # fmt: skip
