"""The messages whose bytes are kept: each built from a golden input by the code of today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deciders.features import compute_features
from deciders.fleet import Fleet
from deciders.limits import Bounds, clamp
from deciders.outcome import Moment, Said, answered, bad_output, expired, halted, no_model, rejected
from deciders.routing import Chosen, NoModel, choose_model
from schemas.canonical import digest
from schemas.context import read_context
from schemas.dead_letter import dead_letter_output
from schemas.decision import (
    Action,
    Decision,
    FailedGeneration,
    Generation,
    GenerationParts,
    ModelUsed,
    Probs,
    Proposed,
    Timings,
    Tokens,
    failed_header,
)
from schemas.halt import TRADING_DISABLED, Halt, HaltMode
from schemas.policy import Policy
from schemas.question import Question, resolve
from schemas.record import Output, Record
from schemas.refusal import DeadLettered, Rejected
from schemas.route import Attempt
from schemas.source import Source
from schemas.tagged import Hop, tag_for

GOLDEN = Path(__file__).parent / "golden"
LOGGED_MS = 1_670_890_000_000
MODELS = ("deepseek", "qwen", "fingpt", "phi3")
PARTS = GenerationParts(prompt="1" * 64, tokenizer="2" * 64, weights="3" * 64, sampling="5" * 64, schema_="6" * 64)
FAILED = (FailedGeneration(model="qwen", key="7" * 64, parts=PARTS, why="cut_off", text='{"action":"BU'),)
SAID = Said(
    model=ModelUsed(name="deepseek", id="deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", revision="abc", engine="vllm-0.32.0"),
    proposed=Proposed(action=Action.BUY, size_pct=0.05, stop_loss=16_900.5, take_profit=10.0),
    confidence=0.8125,
    confidence_source="label",
    probs=Probs(BUY=0.8125, SELL=0.0625, HOLD=0.0625, CLOSE=0.0625),
    rationale="The move is up and the volume follows: “buy”.",
    tokens=Tokens(prompt=212, cached=96, completion=41),
    generation=Generation(key="8" * 64, parts=PARTS, text='{"action":"BUY"}', trimmed=("news[3]",), failed=FAILED),
)
MOMENT = Moment(LOGGED_MS + 950, Timings(routed=3.0, waited=12.5, answered=930.25, total=950.0))


def policy() -> Policy:
    """A policy of its own, so that the default one may change."""
    return Policy.from_toml((GOLDEN / "policy.toml").read_text(encoding="utf-8"))


def came(name: str, offset: int = 17, key: bytes | None = None) -> Record:
    """The golden input of this name as a record of `contexts`."""
    return Record(Source("contexts", 3, offset), key, (GOLDEN / name).read_bytes(), (), LOGGED_MS)


def asked(name: str) -> Question:
    """The question that a golden input asks."""
    record = came(name)
    return resolve(read_context(record), record, policy())


def choice(question: Question, running: tuple[str, ...] = MODELS) -> Chosen | NoModel:
    """Where the golden policy sends it."""
    features = compute_features(question.event.context, policy().features)
    return choose_model(question, features, policy(), Fleet(running), MODELS)


def judged(name: str, said: Said = SAID, min_confidence: float = 0.7, halt: Halt | None = None) -> Decision:
    """The decision on a golden input that was answered so."""
    question = asked(name)
    route = choice(question).route.tried(Attempt(model="deepseek", outcome="answered", ms=930.25))
    bounds = Bounds(policy(), "deepseek", min_confidence, halt, MOMENT.decided_at_ms)
    limited = clamp(said.proposed, said.confidence, question, bounds)
    return answered(question, route, said, limited, MOMENT)


def refused(name: str) -> Decision:
    """The decision on a golden input that breaks the contract."""
    record = came(name)
    try:
        resolve(read_context(record), record, policy())
    except Rejected as refusal:
        return rejected(record, refusal, policy(), MOMENT.decided_at_ms)
    raise AssertionError(f"{name} is no longer refused")


def nobody() -> Decision:
    """The decision where no model of the chain runs."""
    question = asked("context-full.json")
    found = choice(question, running=())
    assert isinstance(found, NoModel)
    return no_model(question, found, MOMENT)


def given_up() -> Decision:
    """The decision where each model of the chain gave a bad answer."""
    question = asked("context-full.json")
    route = choice(question).route
    for model in ("qwen", "deepseek"):
        route = route.tried(Attempt(model=model, outcome="failed:cut_off", ms=800.0))
    return bad_output(question, route, MOMENT, Generation(failed=FAILED))


def late() -> Decision:
    """The decision whose time passed before a model was asked."""
    question = asked("context-founding.json")
    return expired(question, choice(question).route, MOMENT)


def stopped() -> Decision:
    """The decision while trading is switched off."""
    question = asked("context-founding.json")
    return halted(question, choice(question).route, TRADING_DISABLED, MOMENT)


def tag() -> bytes:
    """The `route` header of a golden input that was handed on once."""
    question = asked("context-full.json")
    chosen = choice(question)
    route = chosen.route.tried(Attempt(model="qwen", outcome="failed:hung", ms=2_000.0))
    return tag_for(question, chosen.chosen, route, LOGGED_MS + 3).to_bytes()


def written(output: Output) -> bytes:
    """A record as text: its topic and key, a header a line, and its value, or the digest of a long one."""
    headers = [f"{name}: {value.decode()}" for name, value in output.headers]
    value = output.value.decode() if len(output.value) < 1_000 else f"{len(output.value)} bytes, sha256 {digest(output.value)}"
    return "\n".join([f"{output.topic} {output.key!r}", *headers, "", value]).encode()


def letter(value: bytes) -> bytes:
    """The dead letter of a record that nobody can decide, from a bot that set headers of its own."""
    headers = (("traceparent", b"00-1-2-01"), ("src", b"forged"), ("colour", b"red"))
    record = Record(Source("contexts", 3, 18), b"momentum_bot:BTCUSDT", value, headers, LOGGED_MS)
    try:
        read_context(record)
    except DeadLettered as refusal:
        return written(dead_letter_output(record, record.source, refusal.reason, refusal.detail, refusal.context_id))
    raise AssertionError("it is no dead letter any more")


def hop() -> bytes:
    """A golden input on its way to its model."""
    question, chosen = asked("context-founding.json"), choice(asked("context-founding.json"))
    assert isinstance(chosen, Chosen)
    tagged = tag_for(question, chosen.chosen, chosen.route, LOGGED_MS + 3)
    return written(Hop(came("context-founding.json"), question, chosen.model, tagged).output)


HOLD = replace(SAID, proposed=Proposed(action=Action.HOLD, size_pct=0.0))
CLOSE = replace(SAID, proposed=Proposed(action=Action.CLOSE), rationale="")
REDUCE_ONLY = Halt(scope="symbol/BTCUSDT", mode=HaltMode.REDUCE_ONLY, why="drill", by="ops", at="2022-12-13T00:06:00Z")

CASES: dict[str, Callable[[], bytes]] = {
    "decision-decided.json": lambda: judged("context-founding.json").to_bytes(),
    "decision-hold.json": lambda: judged("context-full.json", HOLD).to_bytes(),
    "decision-close.json": lambda: judged("context-full.json", CLOSE, halt=REDUCE_ONLY).to_bytes(),
    "decision-low-confidence.json": lambda: judged("context-founding.json", min_confidence=0.9).to_bytes(),
    "decision-blocked.json": lambda: judged("context-full.json").to_bytes(),
    "decision-bad-output.json": lambda: given_up().to_bytes(),
    "decision-no-model.json": lambda: nobody().to_bytes(),
    "decision-expired.json": lambda: late().to_bytes(),
    "decision-halted.json": lambda: stopped().to_bytes(),
    "decision-rejected.json": lambda: refused("context-nan.json").to_bytes(),
    "decision-rejected-id.json": lambda: refused("context-long-id.json").to_bytes(),
    "dead-letter-not-json.txt": lambda: letter(b'{"bot_id": "momentum_bot",'),
    "dead-letter-no-sender.txt": lambda: letter(b'{"symbol": "BTCUSDT", "context": {}}'),
    "dead-letter-too-large.txt": lambda: letter(b'"' + b"x" * 300_000 + b'"'),
    "hop.txt": hop,
    "route.json": tag,
    "failed.json": lambda: failed_header(FAILED),
}
